"""Errors on the way to a server: name, connection, TLS, proxy, and answers that come from something in between."""

from __future__ import annotations

from .entry import Entry

NETWORK = (
    Entry(
        "IDS-200",
        "A server gave no usable answer.",
        "The connection, the request or the answer failed in a way that has no code of its own.",
        "Request the URL of the message with `curl -v`, and correct the URL, the proxy or the network.",
    ),
    Entry(
        "IDS-201",
        "A host name does not exist in DNS.",
        "The name is misspelled, or this machine's resolver does not know a private zone.",
        "Correct the host name in the configuration, or the nameserver of a private zone in /etc/resolv.conf.",
    ),
    Entry(
        "IDS-202",
        "DNS does not answer.",
        "The resolver is down or not reachable, or a network policy forbids port 53.",
        "Correct the nameserver in /etc/resolv.conf, or allow port 53 (UDP and TCP) in the network policy.",
    ),
    Entry(
        "IDS-203",
        "The connection was refused.",
        "No server listens on that port, or a firewall rejects the connection.",
        "Correct host and port of the URL in the configuration, or start the server.",
    ),
    Entry(
        "IDS-204",
        "The connection cannot be made.",
        "There is no route, or a firewall or network policy drops the packets.",
        "Allow this machine to reach the host on that port, or configure a proxy or the VPC endpoint.",
    ),
    Entry(
        "IDS-205",
        "The proxy refused, or cannot be reached.",
        "Its address is wrong, it wants a login, or it does not allow the host.",
        "Correct `proxy` or HTTPS_PROXY, and allow the host there. For a direct connection set connection.proxy to "
        "none, or list the host in NO_PROXY if the proxy is the environment's.",
    ),
    Entry(
        "IDS-206",
        "No answer in time.",
        "The server is slow or hangs, or something in between holds the request.",
        "Allow the host in firewalls and proxies; for a slow token endpoint raise httpConfiguration.readTimeout.",
    ),
    Entry(
        "IDS-207",
        "The server closed the connection, or did not speak HTTP.",
        "The URL begins with http:// and the port speaks TLS, the port belongs to another protocol, or a gateway cut "
        "the connection.",
        "Correct scheme, host and port of the URL: https:// for a port that speaks TLS.",
    ),
    Entry(
        "IDS-208",
        "The answer is a redirect, compressed or too large.",
        "The URL is not the final one, or a gateway answers.",
        "Write the URL that `curl -sI` of the message's URL shows as Location into the configuration.",
    ),
    Entry(
        "IDS-209",
        "Something other than the API answered.",
        "The URL is wrong, or a gateway, proxy or captive portal answers with a page.",
        "Correct the URL in the configuration; if it is right, list its host in NO_PROXY or allow it in the gateway.",
    ),
    Entry(
        "IDS-210",
        "A server's certificate has expired, or is not valid yet.",
        "The certificate was not renewed, or this machine's clock is wrong.",
        "Set this machine's clock, or renew the certificate on the server.",
    ),
    Entry(
        "IDS-211",
        "A server's certificate is for another name.",
        "The URL has a name or address that the certificate does not have.",
        "Use a name in the URL that the certificate has, or add the name to the server's certificate.",
    ),
    Entry(
        "IDS-212",
        "A server's certificate is not from a trusted CA.",
        "A private CA, or a proxy that intercepts TLS, signed it; or the server does not send its intermediate "
        "certificates.",
        "Set tls.caFile or SSL_CERT_FILE to a file with the CA that signed it. If one is set, its file has another CA. "
        "Let the server send its intermediate certificates.",
    ),
    Entry(
        "IDS-213",
        "The TLS handshake failed.",
        "The port does not speak TLS, the server ended the handshake, or it requires a client certificate.",
        "Correct scheme and port of the URL; where the server wants a client certificate, set "
        "connection.certificateFile.",
    ),
    Entry(
        "IDS-214",
        "This machine's clock differs from the server's.",
        "The clock is not synchronised. Tokens and signatures are rejected by their time.",
        "Synchronise the clock: run an NTP client such as chrony.",
    ),
    Entry(
        "IDS-215",
        "The server has an error.",
        "HTTP 5xx, 408 or 425, or a code that stands for a failure of the server.",
        "Try again later, as the sidecar does by itself. In an outage of one STS endpoint, name a second in endpoints.",
        effect="transient",
        seen=("temporarily_unavailable", "server_error", "ServiceUnavailable", "InternalError", "E0000009"),
    ),
    Entry(
        "IDS-216",
        "The server limits the rate of requests.",
        "HTTP 429, or a code that begins with Throttling: a quota shared by the account or address is used up.",
        "Reduce the number of sidecars that start at once, or raise the quota of the account.",
        effect="transient",
        seen=("slow_down", "too_many_requests", "rate_limit_exceeded", "E0000047", "Throttling*"),
    ),
    Entry(
        "IDS-217",
        "The answer comes from an emulator on another machine.",
        "An endpoint names an emulated cloud, which would hand out invalid keys.",
        "Replace the emulator's URLs by the real cloud's, in tokenEndpoint and in endpoints of the exchange.",
    ),
    Entry(
        "IDS-218",
        "Something to send is not valid in HTTP.",
        "A URL, role name, token or key has characters outside ASCII, or control characters.",
        "Replace those characters in the value that the message names.",
    ),
)
