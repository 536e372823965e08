#!/usr/bin/env python3
"""Writes vectors_keys.json: bundles of Sigstore signed with keys and not certificates, as `cosign sign-blob --key` signs.

Needs `cryptography`. Keys are new at each run and kept nowhere, so the file cannot be added to, only written anew.
"""

import hashlib
import json
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from vectors import ARTIFACT, AT, SHA256, b64, entry, sign, spki

KIND = "application/vnd.in-toto+json"


def public(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def bundle(key, log, body, signed):
    material = {"publicKey": {"hint": b64(hashlib.sha256(spki(key)).digest())}}
    if log:
        material["tlogEntries"] = [entry(log, body, int(AT.timestamp()))]
    return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material, **signed}


def message(key, log=None):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(ARTIFACT)
    else:
        signature = key.sign(SHA256, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    body = {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": SHA256.hex()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(public(key))}},
        },
    }
    digest = {"algorithm": "SHA2_256", "digest": b64(SHA256)}
    return bundle(key, log, body, {"messageSignature": {"messageDigest": digest, "signature": b64(signature)}})


def dsse(key, log=None):
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "signer", "digest": {"sha256": SHA256.hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    payload = json.dumps(statement).encode()
    signature = sign(key, b"DSSEv1 %d %s %d %s" % (len(KIND), KIND.encode(), len(payload), payload))
    body = {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": b64(public(key))}],
        },
    }
    envelope = {"payload": b64(payload), "payloadType": KIND, "signatures": [{"sig": b64(signature)}]}
    return bundle(key, log, body, {"dsseEnvelope": envelope})


def main():
    log = ec.generate_private_key(ec.SECP256R1())
    p256, stranger = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    p384, ed = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    vectors = {
        "artifact": "sha256:" + SHA256.hex(),
        "log": public(log).decode(),
        "keys": {
            "p256": public(p256).decode(),
            "p384": public(p384).decode(),
            "ed25519": public(ed).decode(),
            "stranger": public(stranger).decode(),
        },
        "bundles": {
            "message": message(p256, log),
            "message_unlogged": message(p256),
            "message_p384": message(p384),
            "message_ed25519": message(ed),
            "message_by_stranger": message(stranger, log),
            "dsse": dsse(p256, log),
            "dsse_unlogged": dsse(p256),
            "dsse_ed25519": dsse(ed, log),
        },
    }
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors_keys.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump(vectors, out, indent=1, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
