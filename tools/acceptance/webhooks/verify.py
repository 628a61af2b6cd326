"""Verifies the signatures of webhook requests with code that is not berth's.

Reads a JSON object from standard input: `documented`, the Python function `is_from_berth` of
docs/webhooks.md; `secrets`; and `requests` with `headers` and `body` (hexadecimal). Prints, for each
request and each secret, whether the library of Standard Webhooks and the documented function accept
the request.
"""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


class Headers(dict):
    """Headers whose names ignore case, as frameworks offer them."""

    def get(self, name, default=None):
        return super().get(name.lower(), default)


def library_accepts(secret, body, headers):
    if not secret.startswith("whsec_"):
        secret = "whsec_" + base64.b64encode(secret.encode()).decode()
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def main():
    task = json.load(sys.stdin)
    documented = {}
    exec(task["documented"], documented)
    results = []
    for request in task["requests"]:
        headers = Headers({name.lower(): value for name, value in request["headers"]})
        body = bytes.fromhex(request["body"])
        results.append([
            {
                "library": library_accepts(secret, body, headers),
                "documented": documented["is_from_berth"](secret, body, headers),
            }
            for secret in task["secrets"]
        ])
    json.dump(results, sys.stdout)


main()
