"""CloudFront's XML documents: what botocore sends, and what it reads."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cdn.local.config import LocalEdgeConfig
from cdn.local.configuration import Node, configuration
from cdn.local.invalidations import Invalidation, Page
from cdn.local.refusals import InconsistentQuantities, MalformedXML, Refusal

NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"


class BatchDocument(NamedTuple):
    """An InvalidationBatch, as it was sent."""

    reference: str
    items: list[str]


def render(name: str, node: Node) -> bytes:
    """Return a document."""
    root = ET.Element(name, xmlns=NAMESPACE)
    _fill(root, node)
    rendered: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return rendered


def read_batch(body: bytes) -> BatchDocument:
    """Read an InvalidationBatch. Raises MalformedXML or InconsistentQuantities."""
    if b"<!" in body:  # no document type, so no entities that grow; botocore sends none
        raise MalformedXML
    try:
        root = ET.fromstring(body)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise MalformedXML from error
    if root.tag != f"{{{NAMESPACE}}}InvalidationBatch":
        raise MalformedXML
    names = {"": NAMESPACE}
    items = [element.text or "" for element in root.iterfind("Paths/Items/Path", names)]
    if root.findtext("Paths/Quantity", "", names).strip() != str(len(items)):
        raise InconsistentQuantities
    return BatchDocument(root.findtext("CallerReference", "", names), items)


def error(refusal: Refusal, request_id: str) -> bytes:
    """Return the document of an error."""
    told = {"Type": "Sender" if refusal.status < 500 else "Receiver", "Code": refusal.code, "Message": str(refusal)}
    return render("ErrorResponse", {"Error": told, "RequestId": request_id})


def invalidation(of: Invalidation, complete: bool) -> bytes:
    """Return the document of an invalidation."""
    paths: Node = {"Quantity": len(of.items), "Items": [("Path", item) for item in of.items]}
    batch: Node = {"Paths": paths, "CallerReference": of.reference}
    return render("Invalidation", {**_summary(of, complete), "InvalidationBatch": batch})


def invalidations(page: Page, complete: Sequence[bool], marker: str, size: int) -> bytes:
    """Return the document of a list; ``complete`` says it of each."""
    summaries = [
        ("InvalidationSummary", _summary(of, done)) for of, done in zip(page.invalidations, complete, strict=True)
    ]
    following: Mapping[str, Node] = {"NextMarker": page.invalidations[-1].id} if page.is_truncated else {}
    told: dict[str, Node] = {"Marker": marker, **following, "MaxItems": size, "IsTruncated": page.is_truncated}
    return render("InvalidationList", {**told, "Quantity": len(summaries), "Items": summaries})


def distribution_config(config: LocalEdgeConfig) -> bytes:
    """Return the document of the distribution's configuration."""
    return render("DistributionConfig", _configured(config))


def distribution(config: LocalEdgeConfig, started: str, in_progress: int) -> bytes:
    """Return the document of the distribution."""
    name = config.distribution.id
    return render(
        "Distribution",
        {
            "Id": name,
            "ARN": f"arn:aws:cloudfront::000000000000:distribution/{name}",
            "Status": "Deployed",
            "LastModifiedTime": started,
            "InProgressInvalidationBatches": in_progress,
            "DomainName": f"{name.lower()}.cloudfront.net",
            "DistributionConfig": _configured(config),
        },
    )


def _configured(config: LocalEdgeConfig) -> dict[str, Node]:
    return configuration(config.distribution, f"Edgebake's local edge, profile {config.profile.name}")


def _summary(of: Invalidation, complete: bool) -> dict[str, Node]:
    created = of.created.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {"Id": of.id, "CreateTime": created, "Status": "Completed" if complete else "InProgress"}


def _fill(element: ET.Element, node: Node) -> None:
    if isinstance(node, bool):
        element.text = "true" if node else "false"
    elif isinstance(node, str | int):
        element.text = str(node)
    else:
        for name, child in node.items() if isinstance(node, Mapping) else node:
            _fill(ET.SubElement(element, name), child)
