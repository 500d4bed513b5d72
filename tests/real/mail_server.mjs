// A real SMTP server: STARTTLS or TLS from the first byte with a given certificate, AUTH, and a
// verdict per recipient.
//
// Prints one JSON document a line: `{"port"}` once it listens, then what happened in its order.
// IMPLICIT_TLS and AUTH_METHODS choose which server it is.
// Ends when its standard input does.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The packages lie in a temporary folder, not beside this file.
const require = createRequire(process.env.NODE_MODULES_OF + "/");
const { SMTPServer } = require("smtp-server");
const { simpleParser } = require("mailparser");

const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const refused = (code, words) => Object.assign(new Error(words), { responseCode: code });
const deferred = new Set();

const server = new SMTPServer({
  key: readFileSync(process.env.TLS_KEY),
  cert: readFileSync(process.env.TLS_CERT),
  secure: process.env.IMPLICIT_TLS === "1",
  authMethods: (process.env.AUTH_METHODS || "PLAIN,LOGIN").split(","),
  logger: false,
  onAuth(auth, session, done) {
    const right = auth.username === "herald" && auth.password === process.env.SMTP_PASSWORD;
    tell({ auth: auth.username, method: auth.method, right, secure: session.secure });
    done(right ? null : refused(535, "5.7.8 authentication failed"), { user: auth.username });
  },
  onRcptTo(address, session, done) {
    const name = address.address.split("@")[0];
    if (name === "gone") {
      return done(refused(550, "5.1.1 no such mailbox"));
    }
    if (name === "later" && !deferred.has(address.address)) {
      deferred.add(address.address);
      return done(refused(451, "4.7.1 greylisted"));
    }
    done();
  },
  onData(stream, session, done) {
    const to = session.envelope.rcptTo.map((one) => one.address);
    simpleParser(stream).then(
      (mail) => {
        tell({ mail: { to, secure: session.secure, subject: mail.subject, text: mail.text, id: mail.messageId } });
        done();
      },
      (error) => done(error),
    );
  },
});

server.on("error", (error) => tell({ error: error.message }));
server.listen(0, "127.0.0.1", () => tell({ port: server.server.address().port }));
process.stdin.resume().on("end", () => process.exit(0));
