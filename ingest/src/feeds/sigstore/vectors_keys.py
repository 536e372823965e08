#!/usr/bin/env python3
"""Writes vectors_keys.json: bundles of Sigstore signed with keys and not certificates, as `cosign sign-blob --key` signs.

Needs `cryptography`. Keys are new at each run and kept nowhere, so the file cannot be added to, only written anew.
"""

import hashlib
import json
import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from vectors import AT, SHA256, b64, entry, signed_message, signed_statement, spki


def public(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def bundle(key, log, body, signed):
    material = {"publicKey": {"hint": b64(hashlib.sha256(spki(key)).digest())}}
    if log:
        material["tlogEntries"] = [entry(log, body, int(AT.timestamp()))]
    return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material, **signed}


def message(key, log=None):
    return bundle(key, log, *signed_message(key, public(key)))


def dsse(key, log=None):
    return bundle(key, log, *signed_statement(key, public(key)))


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
