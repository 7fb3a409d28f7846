/* Sends with openapi-fetch over the types of openapi-typescript. */
import createClient from "openapi-fetch";
import type { components, paths } from "./postroom.js";

declare const process: { env: Record<string, string | undefined> };

const client = createClient<paths>({
  baseUrl: process.env["APP"] ?? "",
  headers: { "x-functions-key": process.env["KEY"] ?? "" },
});
const mail: components["schemas"]["MailDocument"] = {
  to: "Ada <ada@contoso.com>",
  cc: null,
  bcc: ["grace@contoso.com"],
  subject: "From openapi-fetch",
  text: "It is due on Friday.",
};

const sent = await client.POST("/api/send", {
  params: { query: { wait: 20 }, header: { "Idempotency-Key": "openapi-fetch-1" } },
  body: mail,
});
if (sent.error !== undefined) throw new Error(sent.error.detail);
const id: string = sent.data.id;

const checked = await client.POST("/api/send/check", { body: mail });
if (checked.error !== undefined) throw new Error(checked.error.detail);

const refused = await client.POST("/api/send", { body: { ...mail, to: "nobody" } });
if (refused.error === undefined) throw new Error("A mail to nobody was accepted.");

const view = await client.GET("/api/mails/{id}", { params: { path: { id } } });
if (view.error !== undefined) throw new Error(view.error.detail);

console.log(
  JSON.stringify({
    id,
    status: sent.data.status,
    checked: checked.data.recipient_count,
    code: refused.error.code,
    field: refused.error.errors?.[0]?.field,
    subject: view.data.subject,
  }),
);
