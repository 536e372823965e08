#!/usr/bin/env python3
"""Writes vectors.json: bundles of Sigstore signed by an authority and a log of their own. Needs `cryptography`.

Keys are new at each run and kept nowhere, so the file cannot be added to, only written anew.
"""

import base64
import hashlib
import json
import os
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

AT = datetime(2025, 2, 21, 5, 42, 20, tzinfo=timezone.utc)
SUBJECT = "https://github.com/exchange/release/.github/workflows/deploy.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
ARTIFACT = b"signer 1.4.2"
SHA256 = hashlib.sha256(ARTIFACT).digest()


def b64(data):
    return base64.b64encode(data).decode()


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "exchange"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def usage(signs_certificates):
    fields = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"],
        False,
    )
    return x509.KeyUsage(digital_signature=not signs_certificates, key_cert_sign=signs_certificates, **fields)


def authority(common, key, issuer_name, issuer_key, length):
    builder = x509.CertificateBuilder(name(issuer_name), name(common), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(AT - timedelta(days=365)).not_valid_after(AT + timedelta(days=3650))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
    return builder.add_extension(usage(True), critical=True).sign(issuer_key, hashes.SHA384())


def leaf(key, issuer_name, issuer_key, alternative=None, purpose=ExtendedKeyUsageOID.CODE_SIGNING):
    builder = x509.CertificateBuilder(name(issuer_name), x509.Name([]), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(AT - timedelta(seconds=10)).not_valid_after(AT + timedelta(minutes=10))
    names = x509.SubjectAlternativeName([alternative or x509.UniformResourceIdentifier(SUBJECT)])
    builder = builder.add_extension(names, critical=True).add_extension(usage(False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    issuer = b"\x0c" + bytes([len(ISSUER)]) + ISSUER.encode()
    for oid, value in [("1.3.6.1.4.1.57264.1.8", issuer), ("1.3.6.1.4.1.57264.1.1", ISSUER.encode())]:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=False)
    return builder.sign(issuer_key, hashes.SHA384())


def sign(key, data):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()))


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree(leaves):
    """RFC 6962 section 2.1: the root of hashed leaves."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node(tree(leaves[:half]), tree(leaves[half:]))


def audit_path(index, leaves):
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if index < half:
        return audit_path(index, leaves[:half]) + [tree(leaves[half:])]
    return audit_path(index - half, leaves[half:]) + [tree(leaves[:half])]


def entry(log, body, at):
    body = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    log_id = hashlib.sha256(spki(log)).digest()
    promised = {"body": b64(body), "integratedTime": at, "logID": log_id.hex(), "logIndex": 155012345}
    promise = sign(log, json.dumps(promised, sort_keys=True, separators=(",", ":")).encode())
    leaves = [hashlib.sha256(b"\x00other %d" % number).digest() for number in range(7)]
    leaves[3] = hashlib.sha256(b"\x00" + body).digest()
    root = tree(leaves)
    note = f"log.example - 1\n7\n{b64(root)}\nTimestamp: 1740116540\n"
    checkpoint = f"{note}\n— log.example {b64(log_id[:4] + sign(log, note.encode()))}\n"
    return {
        "logIndex": "155012345",
        "logId": {"keyId": b64(log_id)},
        "kindVersion": {"kind": json.loads(body)["kind"], "version": "0.0.1"},
        "integratedTime": str(at),
        "inclusionPromise": {"signedEntryTimestamp": b64(promise)},
        "inclusionProof": {
            "logIndex": "3",
            "rootHash": b64(root),
            "treeSize": "7",
            "hashes": [b64(sibling) for sibling in audit_path(3, leaves)],
            "checkpoint": {"envelope": checkpoint},
        },
        "canonicalizedBody": b64(body),
    }


def bundle(certificate, entry, signed):
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": b64(der(certificate))}, "tlogEntries": [entry]},
        **signed,
    }


def signed_message(key, verifier):
    """What a log records of a signature over the artifact, with the certificate or key in PEM, and what a bundle says of it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(ARTIFACT)
    else:
        signature = key.sign(SHA256, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    body = {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": SHA256.hex()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(verifier)}},
        },
    }
    digest = {"algorithm": "SHA2_256", "digest": b64(SHA256)}
    return body, {"messageSignature": {"messageDigest": digest, "signature": b64(signature)}}


def signed_statement(key, verifier):
    """The same of a statement about the artifact, in a DSSE envelope."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "signer", "digest": {"sha256": SHA256.hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    payload, kind = json.dumps(statement).encode(), "application/vnd.in-toto+json"
    signature = sign(key, b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    body = {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": b64(verifier)}],
        },
    }
    envelope = {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(signature)}]}
    return body, {"dsseEnvelope": envelope}


def message(log, key, certificate, at=AT):
    body, signed = signed_message(key, pem(certificate))
    return bundle(certificate, entry(log, body, int(at.timestamp())), signed)


def dsse(log, key, certificate):
    body, signed = signed_statement(key, pem(certificate))
    return bundle(certificate, entry(log, body, int(AT.timestamp())), signed)


def main():
    root_key, middle_key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    other_key, log = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    root, middle = authority("root", root_key, "root", root_key, None), authority("middle", middle_key, "root", root_key, 0)
    other = authority("root", other_key, "root", other_key, None)
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    ed = ed25519.Ed25519PrivateKey.generate()
    first = leaf(p256, "middle", middle_key)

    def signed_by(key, **more):
        return leaf(key, "middle", middle_key, **more)

    older = message(log, p256, first)
    older["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    material = older["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), {"rawBytes": b64(der(middle))}]}
    del material["tlogEntries"][0]["inclusionProof"]
    # Signed by a key whose certificate a signer made with their own, as if they were an authority.
    below = ec.generate_private_key(ec.SECP256R1())
    named = x509.CertificateBuilder(name("middle"), name("signer"), p256.public_key(), x509.random_serial_number())
    named = named.not_valid_before(AT - timedelta(days=1)).not_valid_after(AT + timedelta(days=1))
    named = named.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    named = named.add_extension(usage(False), critical=True).sign(middle_key, hashes.SHA384())
    forged = message(log, below, leaf(below, "signer", p256))
    material = forged["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), {"rawBytes": b64(der(named))}]}
    user = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), b"\x0c\x04dana")
    bundles = {
        "message": message(log, p256, first),
        "message_p384": message(log, p384, signed_by(p384)),
        "message_v0.1": older,
        "dsse": dsse(log, p256, first),
        "dsse_p384": dsse(log, p384, signed_by(p384)),
        "dsse_ed25519": dsse(log, ed, signed_by(ed)),
        "user_name": message(log, p256, signed_by(p256, alternative=user)),
        "late": message(log, p256, first, AT + timedelta(minutes=11)),
        "for_servers": message(log, p256, signed_by(p256, purpose=ExtendedKeyUsageOID.SERVER_AUTH)),
        "under_a_signer": forged,
    }
    trusted_root = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            {
                "baseUrl": "https://log.example",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(spki(log)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": "2021-01-12T11:53:27.000Z"},
                },
                "logId": {"keyId": b64(hashlib.sha256(spki(log)).digest())},
            }
        ],
        "certificateAuthorities": [
            {
                "subject": {"organization": "exchange", "commonName": "root"},
                "uri": "https://fulcio.example",
                "certChain": {"certificates": [{"rawBytes": b64(der(middle))}, {"rawBytes": b64(der(root))}]},
                "validFor": {"start": "2022-04-13T20:06:15.000Z"},
            }
        ],
    }
    public = log.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    vectors = {
        "artifact": "sha256:" + SHA256.hex(),
        "subject": SUBJECT,
        "issuer": ISSUER,
        "trusted_root": trusted_root,
        "pem": (pem(root) + pem(middle) + public).decode(),
        "other_root": (pem(other) + pem(middle) + public).decode(),
        "bundles": bundles,
    }
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump(vectors, out, indent=1, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
