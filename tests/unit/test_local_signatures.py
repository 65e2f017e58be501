"""Which of a request's parts a signature is checked against, at a behaviour with key groups and at one without."""

from cdn.distribution import Behavior, CachePolicy
from cdn.grant import Grant
from cdn.local.asgi import Scope
from cdn.local.signatures import Signatures
from cdn.signing import Denial, Signer, public_key
from tests.unit.test_signing import NOW, p256, pem_of, public_pem_of, rsa_key

HOST = "127.0.0.1:8080"
URL = f"http://{HOST}/private/ada"
POLICY = CachePolicy("feeds")
OPEN = Behavior("/feed/*", POLICY)
GUARDED = Behavior("/private/*", POLICY, key_groups=("readers",))
ENDS = int(NOW) + 60
SIGNER = Signer("KRSA", pem_of(rsa_key()))
GROUPS = {
    "readers": {"KRSA": public_key(public_pem_of(rsa_key()))},
    "others": {"KEC": public_key(public_pem_of(p256()))},
}


def scope(path: str = "/private/ada", query: str = "", cookies: str = "", client: str = "192.0.2.7") -> Scope:
    headers = [(b"host", HOST.encode()), *([(b"cookie", cookies.encode())] if cookies else [])]
    return {
        "scheme": "http",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "client": (client, 4_711),
    }


def header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def judge(behavior: Behavior, asked: Scope) -> Denial | None:
    return Signatures(GROUPS, lambda: NOW).check(behavior, asked)


def test_a_behaviour_without_key_groups_asks_for_nothing() -> None:
    assert judge(OPEN, scope("/feed/ada")) is None


def test_a_behaviour_with_key_groups_is_opened_by_a_key_of_theirs_only() -> None:
    cookies = header(SIGNER.cookies(Grant(f"http://{HOST}/private/ada*", ENDS)))
    assert judge(GUARDED, scope()) is Denial.NO_KEY
    assert judge(GUARDED, scope(cookies=cookies)) is None
    other = header(Signer("KEC", pem_of(p256())).cookies(Grant("*", ENDS)))
    assert judge(GUARDED, scope(cookies=other)) is Denial.UNKNOWN_KEY


def test_a_key_group_that_nobody_configured_opens_nothing() -> None:
    cookies = header(SIGNER.cookies(Grant("*", ENDS)))
    assert judge(Behavior("*", POLICY, key_groups=("missing",)), scope(cookies=cookies)) is Denial.UNKNOWN_KEY


def test_the_url_is_scheme_host_path_and_the_query_but_for_the_signature() -> None:
    signed = SIGNER.url(f"{URL}?page=%20b&x=1", Grant(f"{URL}?page=%20b&x=1", ENDS), canned=True)
    assert judge(GUARDED, scope(query=signed.partition("?")[2])) is None
    elsewhere = SIGNER.url(URL, Grant("http://elsewhere.example/private/ada", ENDS))
    assert judge(GUARDED, scope(query=elsewhere.partition("?")[2])) is Denial.DENIED


def test_of_two_cookies_with_one_name_the_first_counts() -> None:
    good, bad = SIGNER.cookies(Grant("*", ENDS)), SIGNER.cookies(Grant("*", int(NOW) - 60))
    assert judge(GUARDED, scope(cookies=f"a=b; {header(good)}; {header(bad)}")) is None
    assert judge(GUARDED, scope(cookies=f"{header(bad)}; {header(good)}")) is Denial.DENIED


def test_the_viewers_address_is_the_connections() -> None:
    cookies = header(SIGNER.cookies(Grant("*", ENDS, address="192.0.2.0/24")))
    assert judge(GUARDED, scope(cookies=cookies)) is None
    assert judge(GUARDED, scope(cookies=cookies, client="198.51.100.1")) is Denial.DENIED
