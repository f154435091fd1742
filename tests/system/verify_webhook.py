"""Verifies webhooks with the reference library of Standard Webhooks (PyPI: standardwebhooks).

Reads from standard input a JSON list of {"name", "secret", "headers", "body"} and writes one line for each:
the name and `accepted` or `refused`.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

for case in json.load(sys.stdin):
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
        verdict = "accepted"
    except WebhookVerificationError:
        verdict = "refused"
    print(case["name"], verdict)
