"""Signed cookies and signed URLs, made and checked as CloudFront does (Developer Guide, PrivateContent).

Nothing here waits, keeps anything or reads a clock. SHA-1 is CloudFront's own default; ``Hash-Algorithm`` names another
(SHA-256).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from cdn.errors import EdgeMisconfigured
from cdn.grant import COOKIE, PARAMETERS, Grant, decode, encode, read_policy

RSA_BITS = 2048
POLICY, EXPIRES, SIGNATURE, KEY, HASH = "Policy", "Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm"
COOKIES = frozenset(COOKIE + name for name in PARAMETERS)
SHA = "SHA1"
HASHES: Mapping[str, HashAlgorithm] = {SHA: SHA1(), "SHA256": SHA256()}  # noqa: S303 - see above
MAX_DIGITS = 12

PublicKey = RSAPublicKey | EllipticCurvePublicKey


class Denial(Enum):
    """Why a request is refused: the code and words of the 403 that CloudFront answers.

    They are as users have reported them, but for a missing signature or policy: those are worded after the first.
    """

    NO_KEY = ("MissingKey", "Missing Key-Pair-Id query parameter or cookie value")
    NO_SIGNATURE = ("MissingSignature", "Missing Signature query parameter or cookie value")
    NO_POLICY = ("MissingPolicy", "Missing Policy or Expires query parameter or cookie value")
    UNKNOWN_KEY = ("InvalidKey", "Unknown Key")
    BAD_SIGNATURE = ("MalformedSignature", "Could not unencode Signature")
    BAD_POLICY = ("MalformedPolicy", "Malformed Policy")
    DENIED = ("AccessDenied", "Access denied")

    @property
    def document(self) -> bytes:
        """The body of the 403, which is XML."""
        code, message = self.value
        told = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return b'<?xml version="1.0" encoding="UTF-8"?>' + told.encode()


@dataclass(frozen=True, slots=True)
class Request:
    """What a request has to show. ``url`` is without the signature's parameters, spelt as it came."""

    url: str
    address: str
    parameters: Mapping[str, str]
    cookies: Mapping[str, str]


class Signer:
    """Makes signed cookies and URLs with a private key, whose public half CloudFront knows as ``key_id``."""

    def __init__(self, key_id: str, private_pem: bytes, *, algorithm: str = SHA) -> None:
        """Raises EdgeMisconfigured for a key that CloudFront does not take. ``algorithm``: SHA1 or SHA256."""
        self._key_id = key_id
        self._key: RSAPrivateKey | EllipticCurvePrivateKey = _taken(_loaded(load_pem_private_key, private_pem, None))
        self._algorithm = algorithm

    def __repr__(self) -> str:
        return f"Signer({self._key_id!r}, '***')"

    def cookies(self, grant: Grant, *, canned: bool = False) -> dict[str, str]:
        """Return the cookies' names and values. Canned: shorter, and only for the one URL that is the resource."""
        return {COOKIE + name: value for name, value in self._signed(grant, canned).items()}

    def url(self, url: str, grant: Grant, *, canned: bool = False) -> str:
        """Return a URL with its signature. The grant's resource has to match the URL as it is given here."""
        joint = "&" if "?" in url else "?"
        return url + joint + "&".join(f"{name}={value}" for name, value in self._signed(grant, canned).items())

    def sign(self, policy: bytes) -> bytes:
        """Return the signature of a policy's bytes."""
        algorithm = HASHES[self._algorithm]
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(policy, PKCS1v15(), algorithm)
        return self._key.sign(policy, ECDSA(algorithm))

    def _signed(self, grant: Grant, canned: bool) -> dict[str, str]:
        if canned and (grant.resource is None or grant != Grant(grant.resource, grant.until)):
            raise ValueError(f"{grant} cannot be canned: a canned policy has a resource, an end, and nothing else.")
        named = {EXPIRES: str(grant.until)} if canned else {POLICY: encode(grant.policy)}
        hashed = {} if self._algorithm == SHA else {HASH: self._algorithm}
        return {**named, SIGNATURE: encode(self.sign(grant.policy)), KEY: self._key_id, **hashed}


def public_key(pem: bytes) -> PublicKey:
    """Read a public key. Raises EdgeMisconfigured for one that CloudFront does not take."""
    key: PublicKey = _taken(_loaded(load_pem_public_key, pem))
    return key


def public_half(private_pem: bytes) -> PublicKey:
    """Return the public key of a private one. Raises EdgeMisconfigured for one that CloudFront does not take."""
    key: RSAPrivateKey | EllipticCurvePrivateKey = _taken(_loaded(load_pem_private_key, private_pem, None))
    return key.public_key()


def split(query: str) -> tuple[str, dict[str, str]]:
    """Part a query string into what is the origin's, spelt as it was, and the signature's parameters."""
    own: list[str] = []
    signed: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name in PARAMETERS:
            signed[name] = unquote(value)
        else:
            own.append(part)
    return "&".join(own), signed


def check(request: Request, keys: Mapping[str, PublicKey], now: float) -> Denial | None:
    """Tell why a request is refused, None where it may pass. ``now``: seconds of Unix time.

    With any of a signed URL's parameters it is judged by these alone, whatever its cookies say.
    """
    shown = request.parameters or {
        name.removeprefix(COOKIE): value for name, value in request.cookies.items() if name in COOKIES
    }
    if not shown.get(KEY):
        return Denial.NO_KEY
    key = keys.get(shown[KEY])
    if key is None:
        return Denial.UNKNOWN_KEY
    if not shown.get(SIGNATURE):
        return Denial.NO_SIGNATURE
    if POLICY in shown:
        return _check_custom(shown, request, key, now)
    return _check_canned(shown, request, key, now)


def _check_custom(shown: Mapping[str, str], request: Request, key: PublicKey, now: float) -> Denial | None:
    policy = decode(shown[POLICY]) or b""
    grant = read_policy(policy)
    if grant is None:
        return Denial.BAD_POLICY
    if denial := _check_signature(policy, shown, key):
        return denial
    return None if grant.allows(request.url, request.address, now) else Denial.DENIED


def _check_canned(shown: Mapping[str, str], request: Request, key: PublicKey, now: float) -> Denial | None:
    """Check a canned policy, which is made anew of the URL: so that is in what was signed, and needs no match."""
    expires = shown.get(EXPIRES)
    if expires is None:
        return Denial.NO_POLICY
    if not (expires.isascii() and expires.isdigit() and len(expires) <= MAX_DIGITS):
        return Denial.BAD_POLICY
    grant = Grant(request.url, int(expires))
    if denial := _check_signature(grant.policy, shown, key):
        return denial
    return None if now < grant.until else Denial.DENIED


def _check_signature(policy: bytes, shown: Mapping[str, str], key: PublicKey) -> Denial | None:
    signature, algorithm = decode(shown[SIGNATURE]), HASHES.get(shown.get(HASH, SHA))
    if signature is None:
        return Denial.BAD_SIGNATURE
    if algorithm is None:
        return Denial.DENIED
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, policy, PKCS1v15(), algorithm)
        else:
            key.verify(signature, policy, ECDSA(algorithm))
    except InvalidSignature:
        return Denial.DENIED
    return None


def _loaded(load: Any, *arguments: Any) -> object:
    try:
        return load(*arguments)
    except (ValueError, TypeError) as error:  # a password is missing: TypeError
        raise EdgeMisconfigured(
            f"The key cannot be read: {error}. Give a key in PEM format, without a password."
        ) from error


def _taken(key: object) -> Any:
    """Return a key that is one of CloudFront's kinds. Raises EdgeMisconfigured."""
    if isinstance(key, RSAPublicKey | RSAPrivateKey) and key.key_size == RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    kind, size = type(key).__name__, getattr(key, "key_size", "?")
    raise EdgeMisconfigured(
        f"The key is {kind} of {size} bits, and CloudFront checks signatures of RSA with {RSA_BITS} bits or ECDSA on "
        "the curve P-256: make one with `openssl genrsa 2048`."
    )
