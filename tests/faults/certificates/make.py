"""
Makes the certificates of this directory: a CA, of which nobody keeps the key, a server, clients who are tenants, one
with two names, and a stranger who has made his own. They guard nothing, and are good from 2020 to 2120.

It needs `cryptography`, which the tests do not: ``python tests/faults/certificates/make.py``.
"""

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HERE = Path(__file__).parent


def made(subject: str, key: EllipticCurvePrivateKey, issuer: str, by: EllipticCurvePrivateKey, *, is_ca: bool) -> bytes:
    """The certificate of *subject*, as RFC 4514 writes it, by *issuer*."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name.from_rfc4514_string(issuer),
        subject_name=x509.Name.from_rfc4514_string(subject),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
    )
    # All that RFC 5280 section 4.2.1 wants: Python is strict about it since 3.13.
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    for extension in (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()),
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
    ):
        builder = builder.add_extension(extension, critical=False)
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    usage = dict.fromkeys((*names, "encipher_only", "decipher_only"), False)
    usage |= {"digital_signature": not is_ca, "key_cert_sign": is_ca}
    builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    return builder.sign(by, SHA256()).public_bytes(Encoding.PEM)


if __name__ == "__main__":
    authority = generate_private_key(SECP256R1())
    (HERE / "ca.pem").write_bytes(made("CN=Tests", authority, "CN=Tests", authority, is_ca=True))
    for name, subject in {
        "server": "CN=localhost",
        "acme": "CN=acme,O=Acme\\, Ltd,C=IN",
        "globex": "CN=globex,O=Globex",
        "both": "CN=globex,CN=acme",
        "stranger": "CN=acme",
    }.items():
        key = generate_private_key(SECP256R1())
        by = ("CN=Tests", authority) if name != "stranger" else (subject, key)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (HERE / f"{name}.pem").write_bytes(made(subject, key, *by, is_ca=name == "stranger") + private)
