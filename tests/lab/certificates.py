"""Certificates for tests: an authority, and what it signs: good, expired, not yet valid, for another name."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """An authority of its own, in `folder`; `file` is what its clients trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._now = dt.datetime.now(dt.UTC)  # noqa: TID251  # certificates live by the real clock
        self._issuer = _name("Test authority")
        own = self._builder(self._issuer, self._key, -99, 99, signer=None).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, begins: float = -1, ends: float = 30, is_signed: bool = True) -> Path:
        """Key and certificate in one file, for a DNS name or an address, valid from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (self._issuer, self._key) if is_signed else (_name(name), key)
        builder = self._builder(issuer, key, begins, ends, subject=name, signer=signer)
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        names = x509.SubjectAlternativeName([alternative])
        certificate = builder.add_extension(names, critical=False).sign(signer, hashes.SHA256())
        file = self._folder / f"{name}{begins}{ends}{is_signed}.pem"
        kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, kind, plain)
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return file

    def _builder(
        self,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: float,
        ends: float,
        *,
        subject: str = "Test authority",
        signer: ec.EllipticCurvePrivateKey | None,
    ) -> x509.CertificateBuilder:
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(issuer)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(self._now + begins * DAY).not_valid_after(self._now + ends * DAY)
        builder = builder.add_extension(own, critical=False)
        if signer is None:
            return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
