"""The key that opens private feeds: whose cookies the API signs, and what the local edge checks them with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.signing import PublicKey
    from publisher.signing import Signing


def signing(settings: Settings) -> "Signing | None":
    """Return how the API signs cookies, None where it has no key. Raises EdgeMisconfigured for a key that is none."""
    if not settings.signing_key:
        return None
    from cdn.grant import Grant
    from cdn.signing import Signer
    from publisher.signing import Signing

    signer = Signer(settings.key_pair_id, settings.signing_key.reveal().encode())
    return Signing(lambda resource, until: signer.cookies(Grant(resource, until)), settings.public, settings.cookie_ttl)


def trusted(settings: Settings) -> "Mapping[str, PublicKey]":
    """Return the public keys that the local edge trusts, by key pair id: the other half of the one that signs."""
    if not settings.signing_key:
        return {}
    from cdn.signing import public_half

    return {settings.key_pair_id: public_half(settings.signing_key.reveal().encode())}


def new_key() -> str:
    """Return a new private key, ECDSA on P-256, in PEM: for a laptop, where nobody has given CloudFront a key."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
