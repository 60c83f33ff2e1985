"""A real SMTP server (aiosmtpd) on a free port. Says its port, then each mail as a line of JSON.

smtp_server.py none|starttls|tls [CERTIFICATE KEY]

With `starttls` and `tls` it takes mail only from ann, whose password is hunter2. It knows nobody whose name begins with
"nobody", and has no time for those whose name begins with "later".
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 There is no such user"
        if address.startswith("later"):
            return "451 4.7.1 Greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or WRAPPED,
            "signed_in": session.authenticated,
            "hello": session.host_name,
            "kind": mail.get_content_type(),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "defects": [str(defect) for defect in mail.defects],
            "longest": max(len(line) for line in envelope.content.split(b"\r\n")),
            "parts": parts,
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 Accepted as 4711"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == b"ann" and data.password == b"hunter2"
    return AuthResult(success=right, handled=right or None)


MODE = sys.argv[1]
WRAPPED = MODE == "tls"
CONTEXT = None
if MODE != "none":
    CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CONTEXT.load_cert_chain(sys.argv[2], sys.argv[3])


def make():
    if MODE == "none":
        return SMTP(Handler(), hostname="test")
    return SMTP(
        Handler(),
        hostname="test",
        tls_context=None if WRAPPED else CONTEXT,
        require_starttls=not WRAPPED,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=not WRAPPED,
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=CONTEXT if WRAPPED else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
