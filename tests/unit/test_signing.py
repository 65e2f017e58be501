"""Signed cookies and URLs: what opens what, and that botocore's signer and ours agree."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from urllib.parse import parse_qsl

import pytest
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cdn.errors import EdgeMisconfigured
from cdn.grant import Grant, decode, encode, read_policy
from cdn.signing import Denial, PublicKey, Request, Signer, check, public_key, split

NOW = 1_800_000_000.0
LATER, EARLIER = int(NOW) + 60, int(NOW) - 60
HOST = "https://d111111abcdef8.cloudfront.net"
URL = HOST + "/private/ada/feed.json"
ADA = Grant(HOST + "/private/ada/*", LATER)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def keys() -> dict[str, PublicKey]:
    return {"KRSA": public_key(public_pem_of(rsa_key())), "KEC": public_key(public_pem_of(p256()))}


def signer() -> Signer:
    return Signer("KRSA", pem_of(rsa_key()))


def judge(url: str, cookies: dict[str, str] | None = None, address: str = "192.0.2.7", now: float = NOW) -> str:
    """Return the code of a refusal, "" where there is none, of a request for a URL that may be signed."""
    path, _, query = url.partition("?")
    own, parameters = split(query)
    denial = check(Request(path + ("?" + own if own else ""), address, parameters, cookies or {}), keys(), now)
    return denial.value[0] if denial else ""


@pytest.mark.parametrize(
    "made",
    [
        lambda: Signer("KRSA", pem_of(rsa_key())),
        lambda: Signer("KRSA", pem_of(rsa_key()), algorithm="SHA256"),
        lambda: Signer("KEC", pem_of(p256())),
        lambda: Signer("KEC", pem_of(p256()), algorithm="SHA256"),
    ],
    ids=["rsa-sha1", "rsa-sha256", "p256-sha1", "p256-sha256"],
)
def test_cookies_and_urls_open_what_was_granted_and_nothing_else(made: Callable[[], Signer]) -> None:
    own = made()
    exact = Grant(URL, LATER)
    assert judge(URL, own.cookies(ADA)) == ""
    assert judge(HOST + "/private/adam/feed.json", own.cookies(ADA)) == "AccessDenied"
    assert judge(URL, own.cookies(exact, canned=True)) == ""
    assert judge(URL + "?page=2", own.cookies(exact, canned=True)) == "AccessDenied"
    assert judge(own.url(URL, ADA)) == ""
    assert judge(own.url(URL, exact, canned=True)) == ""
    assert judge(own.url(URL, exact, canned=True) + "&page=2") == "AccessDenied"


def test_a_url_that_botocore_signed_passes_and_one_of_ours_is_the_same() -> None:
    theirs = CloudFrontSigner("KRSA", signer().sign)
    ends = datetime.fromtimestamp(LATER, UTC)
    canned = theirs.generate_presigned_url(URL + "?page=2", date_less_than=ends)
    assert judge(canned) == ""
    assert canned == signer().url(URL + "?page=2", Grant(URL + "?page=2", LATER), canned=True)
    policy = theirs.build_policy(
        HOST + "/private/*", ends, date_greater_than=datetime.fromtimestamp(EARLIER, UTC), ip_address="192.0.2.0/24"
    )
    custom = theirs.generate_presigned_url(URL, policy=policy)
    assert judge(custom) == ""
    assert judge(custom, address="198.51.100.1") == "AccessDenied"
    assert custom == signer().url(URL, Grant(HOST + "/private/*", LATER, EARLIER, "192.0.2.0/24"))


@pytest.mark.parametrize(
    ("resource", "url", "opens"),
    [
        (URL, URL, True),
        (HOST + "/private/ada/*", HOST + "/private/ada/", True),
        (HOST + "/private/ada/*", HOST + "/private/ada/a?x=1", True),
        (HOST + "/private/ada/*", HOST + "/private/adam", False),
        (HOST + "/feed/ada*", HOST + "/feed/adam", True),  # the trap: a star without a slash before it
        (HOST + "/private/*/feed.json", URL, True),
        (HOST + "/private/???/feed.json", URL, True),
        (HOST + "/private/??/feed.json", URL, False),
        (HOST + "/private/ada?page=*", HOST + "/private/ada?page=2", True),
        (HOST + "/private/a.a/*", HOST + "/private/ada/x", False),  # nothing but the two stands for anything else
        ("http*://d111111abcdef8.cloudfront.net/private/*", URL, True),
        (HOST + "/PRIVATE/*", URL, False),
        ("*", URL, True),
        (None, URL, True),
    ],
)
def test_a_star_is_anything_and_a_question_mark_one_character_anywhere(
    resource: str | None, url: str, opens: bool
) -> None:
    assert Grant(resource, LATER).allows(url, "192.0.2.7", NOW) is opens


@pytest.mark.parametrize(
    ("grant", "address", "opens"),
    [
        (Grant("*", int(NOW)), "192.0.2.7", False),  # the end itself is too late
        (Grant("*", int(NOW) + 1), "192.0.2.7", True),
        (Grant("*", LATER, int(NOW)), "192.0.2.7", True),
        (Grant("*", LATER, int(NOW) + 1), "192.0.2.7", False),
        (Grant("*", LATER, address="192.0.2.7"), "192.0.2.7", True),
        (Grant("*", LATER, address="192.0.2.0/24"), "192.0.3.7", False),
        (Grant("*", LATER, address="0.0.0.0/0"), "2001:db8::1", False),  # IPv6 is not supported in a policy
        (Grant("*", LATER, address="192.0.2.0/24"), "testclient", False),
    ],
)
def test_a_grant_holds_from_its_beginning_to_its_end_and_from_its_addresses(
    grant: Grant, address: str, opens: bool
) -> None:
    assert (judge(URL, signer().cookies(grant), address) == "") is opens


def without(cookies: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in cookies.items() if key != f"CloudFront-{name}"}


def test_what_is_missing_or_unreadable_is_told_by_cloudfronts_codes() -> None:
    good = signer().cookies(ADA)
    assert judge(URL) == "MissingKey"
    assert judge(URL, without(good, "Key-Pair-Id")) == "MissingKey"
    assert judge(URL, good | {"CloudFront-Key-Pair-Id": "KOTHER"}) == "InvalidKey"
    assert judge(URL, without(good, "Signature")) == "MissingSignature"
    assert judge(URL, without(good, "Policy")) == "MissingPolicy"
    assert judge(URL, good | {"CloudFront-Signature": "?"}) == "MalformedSignature"
    assert judge(URL, good | {"CloudFront-Policy": "?"}) == "MalformedPolicy"
    assert judge(URL, good | {"CloudFront-Hash-Algorithm": "MD5"}) == "AccessDenied"
    assert judge(URL, without(good, "Policy") | {"CloudFront-Expires": "9" * 5_000}) == "MalformedPolicy"
    assert Denial.NO_KEY.document == (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code>'
        b"<Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>"
    )


def test_a_policy_that_was_changed_after_it_was_signed_opens_nothing() -> None:
    cookies = signer().cookies(ADA)
    wider = Grant(HOST + "/*", LATER)
    assert judge(URL, cookies | {"CloudFront-Policy": encode(wider.policy)}) == "AccessDenied"
    canned = signer().cookies(Grant(URL, LATER), canned=True)
    assert judge(URL, canned | {"CloudFront-Expires": str(LATER + 1)}) == "AccessDenied"
    assert judge(URL, signer().cookies(ADA), now=LATER) == "AccessDenied"


def test_a_key_opens_nothing_with_the_signature_of_another() -> None:
    other = Signer("KRSA", pem_of(p256()))
    assert judge(URL, other.cookies(ADA)) == "AccessDenied"


def test_a_star_in_a_canned_policy_is_a_star() -> None:
    cookies = signer().cookies(Grant(HOST + "/private/*", LATER), canned=True)
    assert judge(URL, cookies) == "AccessDenied"
    assert judge(HOST + "/private/*", cookies) == ""


def test_a_signed_url_is_judged_by_itself_whatever_the_cookies_say() -> None:
    cookies = signer().cookies(ADA)
    assert judge(URL + "?Expires=1", cookies) == "MissingKey"
    assert judge(signer().url(URL, Grant("*", EARLIER)), cookies) == "AccessDenied"


@pytest.mark.parametrize(
    "policy",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"Statement":[]}',
        b'{"Statement":[{"Resource":"*","Condition":{}}]}',  # it has to end
        b'{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":"1800000000"}}}]}',
        b'{"Statement":[{"Resource":null,"Condition":{"DateLessThan":{"AWS:EpochTime":1800000000}}}]}',
        b'{"Statement":[{"Resource":7,"Condition":{"DateLessThan":{"AWS:EpochTime":1800000000}}}]}',
        b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1},"IpAddress":{"AWS:SourceIp":"::1/128"}}}]}',
        b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1},"IpAddress":{"AWS:SourceIp":1}}}]}',
        b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1},"Unheard":{"Of":1}}}]}',
        b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1}}},{}]}',
    ],
)
def test_a_policy_that_cannot_be_read_grants_nothing(policy: bytes) -> None:
    assert read_policy(policy) is None


def test_a_policy_is_read_as_it_was_written() -> None:
    for grant in (ADA, Grant(None, LATER), Grant("*", LATER, EARLIER, "192.0.2.0/24")):
        assert read_policy(grant.policy) == grant


def test_base64_is_cloudfronts() -> None:
    assert encode(b"\xfb\xff\xfe\xff") == "-~~-~w__"
    assert decode("-~~-~w__") == b"\xfb\xff\xfe\xff"
    assert decode("not base64") is None


def test_a_query_string_is_parted_and_the_origins_part_left_as_it_was() -> None:
    signed = signer().url(URL + "?b=%20x&a=1&b=2", Grant(URL, LATER))
    own, parameters = split(signed.partition("?")[2])
    assert own == "b=%20x&a=1&b=2"
    assert parameters.keys() == {"Policy", "Signature", "Key-Pair-Id"}
    assert parameters == dict(parse_qsl(signed.partition("&b=2&")[2]))
    assert split("") == ("", {})


@pytest.mark.parametrize(
    "pem", [lambda: public_pem_of(rsa_key(1024)), lambda: public_pem_of(ec.generate_private_key(ec.SECP384R1()))]
)
def test_a_key_that_cloudfront_does_not_take_is_refused_with_what_to_do(pem: Callable[[], bytes]) -> None:
    with pytest.raises(EdgeMisconfigured, match="openssl genrsa 2048"):
        public_key(pem())


def test_what_is_no_key_is_refused_and_not_shown() -> None:
    with pytest.raises(EdgeMisconfigured, match="in PEM format"):
        public_key(b"no key")
    assert "BEGIN" not in repr(signer())


def test_a_canned_policy_has_no_room_for_an_address() -> None:
    with pytest.raises(ValueError, match="cannot be canned"):
        signer().cookies(Grant(URL, LATER, address="192.0.2.7"), canned=True)
