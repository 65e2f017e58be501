"""A line of CloudFront's standard log: the fields of AWS's own example, and what is percent-encoded."""

import pytest

from cdn.accesslog import FIELDS, HEAD, Record, line

AWS_HEAD = (
    "#Version: 1.0\n"
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes "
    "time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end\n"
)
"""As it stands in the guide's example."""
RECORD = Record(
    at=1_576_276_587.9,
    location="SEA19-C1",
    sc_bytes=900,
    ip="192.0.2.200",
    port=25_260,
    method="GET",
    host="d111111abcdef8.cloudfront.net",
    path="/favicon.ico",
    status=502,
    result="Error",
    response_result="Error",
    detailed="OriginDnsError",
    request_id="1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==",
    host_header="www.example.com",
    cs_bytes=675,
    taken_s=0.102,
    first_byte_s=0.1016,
    referer="http://www.example.com/",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    content_type="text/html",
    length=507,
)


def named(record: Record) -> dict[str, str]:
    """Return the fields of a record's line by their names."""
    written = line(record)
    assert written.endswith("\n")
    return dict(zip(FIELDS, written[:-1].split("\t"), strict=True))


def test_the_head_is_that_of_the_guides_example() -> None:
    assert HEAD == AWS_HEAD


def test_a_line_of_the_guides_example_is_written_as_it_stands_there() -> None:
    assert line(RECORD) == (
        "2019-12-13\t22:36:27\tSEA19-C1\t900\t192.0.2.200\tGET\td111111abcdef8.cloudfront.net\t/favicon.ico\t502\t"
        "http://www.example.com/\tMozilla/5.0%20(Windows%20NT%2010.0;%20Win64;%20x64)\t-\t-\tError\t"
        "1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==\twww.example.com\thttp\t675\t0.102\t-\t-\t-\tError\t"
        "HTTP/1.1\t-\t-\t25260\t0.102\tOriginDnsError\ttext/html\t507\t-\t-\n"
    )


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        ("/caf%C3%A9", "/caf%25C3%25A9"),  # once more than it was asked for
        ("/a b\tc\nd", "/a%20b%09c%0Ad"),
        ("<>\"#%{}|\\^~[]`'", "%3C%3E%22%23%25%7B%7D%7C%5C%5E%7E%5B%5D%60%27"),  # the guide's table
        ("\x7f\xe9", "%7F%E9"),
        ("/a!$&()*+,-./:;=?@_Z9", "/a!$&()*+,-./:;=?@_Z9"),
        ("", "-"),
    ],
)
def test_what_the_guide_lists_is_percent_encoded_and_nothing_else(value: str, logged: str) -> None:
    assert named(RECORD._replace(path=value))["cs-uri-stem"] == logged


def test_no_text_of_a_viewer_ends_a_field_or_a_line() -> None:
    nasty = "".join(map(chr, range(256)))
    fields = named(RECORD._replace(referer=nasty, user_agent=nasty, query=nasty, cookie=nasty, method=nasty))
    assert len(fields) == 33


def test_a_viewer_that_left_has_the_status_000_and_a_range_has_its_ends() -> None:
    fields = named(RECORD._replace(status=0, range_start=0, range_end=99))
    assert fields["sc-status"] == "000"
    assert (fields["sc-range-start"], fields["sc-range-end"]) == ("0", "99")
