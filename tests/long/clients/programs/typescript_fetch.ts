/* Sends with the typescript-fetch client of openapi-generator. */
import { Configuration, MailsApi, ResponseError } from "./generated/index";
import type { MailDocument, Problem } from "./generated/index";

declare const process: { env: Record<string, string | undefined> };

async function main(): Promise<void> {
  const mails = new MailsApi(
    new Configuration({ basePath: process.env["APP"] ?? "", apiKey: process.env["KEY"] ?? "" }),
  );
  const mail: MailDocument = {
    to: ["Ada <ada@contoso.com>"],
    cc: null,
    bcc: ["grace@contoso.com"],
    subject: "From typescript-fetch",
    text: "It is due on Friday.",
  };
  const sent = await mails.sendMail({
    mailDocument: mail,
    wait: 20,
    idempotencyKey: "typescript-fetch-1",
  });
  const checked = await mails.checkMail({ mailDocument: mail });
  let problem: Problem | undefined;
  try {
    await mails.sendMail({ mailDocument: { ...mail, to: "nobody" } });
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    problem = (await error.response.json()) as Problem;
  }
  const view = await mails.getMail({ id: sent.id });
  console.log(
    JSON.stringify({
      id: sent.id,
      status: sent.status,
      checked: checked.recipientCount,
      code: problem?.code,
      field: problem?.errors?.[0]?.field,
      subject: view.subject,
    }),
  );
}

main();
