// @microsoft/microsoft-graph-client, as shipped: sends a mail, uploads a large file, lists.
// Prints one line of JSON.
import { createRequire } from "node:module";
import process from "node:process";

const require = createRequire(`${process.env.NODE_PACKAGES}/`);
const graph = require("@microsoft/microsoft-graph-client");

const url = new URL(process.env.GRAPH_URL);
const client = graph.Client.initWithMiddleware({
  baseUrl: url.origin,
  defaultVersion: url.pathname.replaceAll("/", ""),
  customHosts: new Set([url.hostname]),
  authProvider: { getAccessToken: async () => process.env.ACCESS_TOKEN },
});
const mailbox = `/users/${process.env.MAILBOX}`;
const message = (subject) => ({
  subject,
  body: { contentType: "text", content: "From the client for JavaScript." },
  toRecipients: [{ emailAddress: { address: "ada@contoso.com" } }],
});

async function run(flow) {
  if (flow === "send") {
    await client.api(`${mailbox}/sendMail`).post({ message: message("graph-client") });
    return { sent: true };
  }
  const draft = await client.api(`${mailbox}/messages`).post(message("draft of graph-client"));
  const content = Buffer.alloc(4_000_000, "a");
  const session = await graph.LargeFileUploadTask.createUploadSession(
    client,
    `${mailbox}/messages/${draft.id}/attachments/createUploadSession`,
    { AttachmentItem: { attachmentType: "file", name: "large.bin", size: content.length } },
  );
  const file = new graph.FileUpload(content, "large.bin", content.length);
  const task = new graph.LargeFileUploadTask(client, file, session, { rangeSize: 320 * 1024 * 10 });
  await task.upload();
  const files = await client.api(`${mailbox}/messages/${draft.id}/attachments`).select("name,size").get();
  return { files: files.value.map((one) => [one.name, one.size]) };
}

console.log(JSON.stringify(await run(process.argv[2])));
