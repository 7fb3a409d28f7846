import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.MailsApi;
import org.openapitools.client.model.Accepted;
import org.openapitools.client.model.Addresses;
import org.openapitools.client.model.Checked;
import org.openapitools.client.model.MailDocument;
import org.openapitools.client.model.MailView;
import org.openapitools.client.model.Problem;

/** Sends with the Java client of openapi-generator (library native). */
public final class SendMail {
  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(System.getenv("APP"));
    client.setRequestInterceptor(
        request -> request.header("x-functions-key", System.getenv("KEY")));
    MailsApi mails = new MailsApi(client);
    MailDocument mail =
        new MailDocument()
            .to(new Addresses("Ada <ada@contoso.com>"))
            .cc(null)
            .bcc(new Addresses("grace@contoso.com"))
            .subject("From openapi-generator for Java")
            .text("It is due on Friday.");
    Accepted sent = mails.sendMail(mail, 20, "openapi-generator-java-1");
    Checked checked = mails.checkMail(mail, null);
    Problem problem = null;
    try {
      mails.sendMail(new MailDocument().to(new Addresses("nobody")).text("x"), null, null);
    } catch (ApiException error) {
      problem = client.getObjectMapper().readValue(error.getResponseBody(), Problem.class);
    }
    MailView view = mails.getMail(sent.getId());
    System.out.printf(
        "{\"id\":\"%s\",\"status\":\"%s\",\"checked\":%d,\"code\":\"%s\",\"field\":\"%s\","
            + "\"subject\":\"%s\"}%n",
        sent.getId(),
        sent.getStatus(),
        checked.getRecipientCount(),
        problem.getCode(),
        problem.getErrors().get(0).getField(),
        view.getSubject());
  }
}
