// An independent OpenID provider (npm oidc-provider): `provider.js CONFIG`. CONFIG is a JSON file with
// { port, issuer, key, cert, ca, audience, clients, jwks }. With `key` it serves https and requests client certificates.
// Prints `ready` when it listens.
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const loaded = require("oidc-provider");
const Provider = loaded.default ?? loaded;

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));

const provider = new Provider(config.issuer, {
  clients: config.clients,
  jwks: config.jwks,
  clientAuthMethods: [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
  ],
  scopes: ["sts"],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => {
        const peer = ctx.socket.getPeerCertificate?.();
        if (!peer?.raw) return undefined;
        return `-----BEGIN CERTIFICATE-----\n${peer.raw.toString("base64")}\n-----END CERTIFICATE-----`;
      },
      certificateAuthorized: (ctx) => ctx.socket.authorized === true,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === "tls_client_auth_subject_dn" && `CN=${ctx.socket.getPeerCertificate().subject.CN}` === expected,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => config.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "sts",
        audience: config.audience,
        accessTokenTTL: 1200,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

const serve = provider.callback();
const server = config.key
  ? https.createServer(
      { key: config.key, cert: config.cert, ca: config.ca, requestCert: true, rejectUnauthorized: false },
      serve,
    )
  : http.createServer(serve);
server.listen(config.port, "127.0.0.1", () => console.log("ready"));
