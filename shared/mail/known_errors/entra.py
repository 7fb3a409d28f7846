"""Entra's AADSTS numbers.

The numbers are from Microsoft's list. Which of them need a person, and which end by themselves, is
from field reports. Microsoft asks programs to act on the OAuth error's name; Postroom does so for a
number that is not listed here.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from functools import partial

from shared.mail.known_errors import steps
from shared.mail.known_errors.row import Actor, KnownError, Retry, alike
from shared.mail.known_errors.steps import (
    AGAIN,
    CONSENT,
    ENTERPRISE_APP,
    NEW_SECRET,
    POLICIES,
    REGISTRATION,
    SIGN_IN_LOG,
    START_AGAIN,
    THEN_AGAIN,
    USER,
)

_rows = partial(alike, prefix="AADSTS")

_ENDED = {
    **_rows(
        "70008",
        "The sign-in took too long, or the grant that Postroom keeps has expired.",
        Actor.MAILBOX_OWNER,
        AGAIN,
    ),
    **_rows(
        "700082",
        "The grant was not used for 90 days and has expired.",
        Actor.MAILBOX_OWNER,
        f"{AGAIN} Postroom refreshes idle grants daily: if the app was stopped for so long, start it.",
    ),
    **_rows(
        "700084",
        "The redirect URI is registered as 'Single-page application', whose grants end after 24 hours.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Authentication remove the redirect URI from 'Single-page application' "
        f"and add it under the platform 'Web'; {THEN_AGAIN}",
        sign_in_after=True,
    ),
    **_rows(
        "70043",
        "The directory's sign-in frequency policy has ended the grant.",
        Actor.DIRECTORY_ADMIN,
        f"In {POLICIES} > the policy with Session > 'Sign-in frequency', exclude the mailbox's user "
        f"or Postroom's app; {THEN_AGAIN} Without that it ends again after the same time.",
    ),
    **_rows(
        "70000",
        "Microsoft does not accept the grant, or it does not cover what was asked.",
        Actor.MAILBOX_OWNER,
        f"{AGAIN} For a personal account that comes back with this, set POSTROOM_TENANT to "
        "'consumers' first.",
        Retry.ONCE,
    ),
    **_rows(
        "50173",
        "The grant was revoked: all sessions of the user were ended, or the password was reset.",
        Actor.MAILBOX_OWNER,
        AGAIN,
    ),
    **_rows(
        "70044",
        "The directory's session policy has ended the grant.",
        Actor.MAILBOX_OWNER,
        AGAIN,
    ),
}

_POLICIES = {
    **_rows(
        "50076 50074",
        "The directory asks for multi-factor authentication.",
        Actor.MAILBOX_OWNER,
        f"{AGAIN} Microsoft asks for the second factor there. If it keeps coming back, an "
        f"administrator excludes the mailbox's user or the app from the policy in {POLICIES}.",
    ),
    **_rows(
        "50072 50079",
        "The directory wants the user to register for multi-factor authentication.",
        Actor.MAILBOX_OWNER,
        "Sign in at https://aka.ms/mysecurityinfo as the mailbox's user and add a sign-in method; "
        f"{THEN_AGAIN}",
    ),
    **_rows(
        "50078",
        "The multi-factor authentication of the sign-in has expired by a policy of the directory.",
        Actor.MAILBOX_OWNER,
        f"{AGAIN} To end the repetition, an administrator takes the mailbox's user or the app out "
        f"of the policy in {POLICIES}.",
    ),
    **_rows(
        "53000 53001 530003",
        "The directory admits only managed devices, and a server is not one.",
        Actor.DIRECTORY_ADMIN,
        f"In {POLICIES} exclude the mailbox's user or Postroom's app from the policy that requires a "
        f"compliant or joined device; {THEN_AGAIN}",
    ),
    **_rows(
        "53003",
        "A Conditional Access policy of the directory blocks the sign-in.",
        Actor.DIRECTORY_ADMIN,
        f"In {SIGN_IN_LOG} open the failed entry (look under non-interactive sign-ins too): its tab "
        "'Conditional Access' names the policy. Exclude the mailbox's user or Postroom's app from "
        f"it in {POLICIES}; {THEN_AGAIN}",
    ),
    **_rows(
        "53004",
        "The user must finish registering security information, and a policy does not allow that from here.",
        Actor.DIRECTORY_ADMIN,
        "Have the mailbox's user finish it at https://aka.ms/mysecurityinfo from a place that the "
        f"directory trusts; {THEN_AGAIN}",
    ),
    **_rows(
        "530032 530035",
        "The directory's security defaults or a security policy block the sign-in.",
        Actor.DIRECTORY_ADMIN,
        f"In {SIGN_IN_LOG} the failed entry names the reason. Adjust the policy in {POLICIES}, or "
        f"see {steps.SECURITY_DEFAULTS}; {THEN_AGAIN}",
    ),
    **_rows(
        "90072 500212 500213",
        "The account belongs to another directory, and a policy between the two blocks it.",
        Actor.DIRECTORY_ADMIN,
        f"Sign in a mailbox of the app's own directory; or allow the app in {steps.CROSS_TENANT} "
        f"(outbound in the mailbox's directory, inbound in the app's), {THEN_AGAIN}",
    ),
    **_rows(
        "50097 50155 50187",
        "The directory asks for device authentication, which a server cannot give.",
        Actor.DIRECTORY_ADMIN,
        f"In {POLICIES} exclude the mailbox's user or Postroom's app from the policy that asks for "
        f"it; {THEN_AGAIN}",
    ),
}

_ACCOUNT = {
    **_rows(
        "50055",
        "The password of the account has expired.",
        Actor.MAILBOX_OWNER,
        f"Sign in at https://www.office.com as the mailbox's user and choose a new password; {THEN_AGAIN}",
    ),
    **_rows(
        "50053",
        "The account is locked after wrong passwords, or Microsoft distrusts the address that the "
        "sign-in came from.",
        Actor.MAILBOX_OWNER,
        "Wait half an hour, then sign the mailbox in again on /accounts. If it stays, an "
        f"administrator looks at the entry in {SIGN_IN_LOG}: it says which of the two it is.",
    ),
    **_rows(
        "50126 500121",
        "The password or the second factor was wrong.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts; Microsoft's page helps those who forgot theirs.",
    ),
    **_rows(
        "50057",
        "The user's account is disabled.",
        Actor.DIRECTORY_ADMIN,
        f"In {USER} > Edit properties > Settings set 'Account enabled'; {THEN_AGAIN} If the mailbox "
        "is to stay closed, put another one under the alias, or disconnect it.",
    ),
    **_rows(
        "50034",
        "The user does not exist in this directory.",
        Actor.DIRECTORY_ADMIN,
        f"Look in {steps.USERS}, and there under 'Deleted users', for the user; restore it and sign "
        "the mailbox in again on /accounts. If the user lives in another directory, POSTROOM_TENANT "
        "must admit that one.",
    ),
    **_rows(
        "50020",
        "The account belongs to another directory and is no guest in this one.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts and choose an account of the app's directory. To admit others, "
        f"whoever runs Postroom changes {REGISTRATION} > Authentication > Supported account types "
        "to any directory, and sets POSTROOM_TENANT to 'organizations' or 'common'.",
    ),
    **_rows(
        "50105",
        "The user is not assigned to the app, and the directory requires that.",
        Actor.DIRECTORY_ADMIN,
        f"In {ENTERPRISE_APP} > Users and groups add the mailbox's user (or in Properties set "
        f"'Assignment required?' to No); {THEN_AGAIN}",
    ),
}

_CONSENT = {
    **_rows(
        "65001",
        "Consent to the app's permissions is missing or was revoked.",
        Actor.MAILBOX_OWNER,
        f"Sign the mailbox in again on /accounts and accept the permissions. {CONSENT}, where the "
        "directory does not let its users consent.",
        admin_consent=True,
    ),
    **_rows(
        "65004",
        "You cancelled at Microsoft: the permissions were not accepted.",
        Actor.MAILBOX_OWNER,
        "If that was not meant, start again on /accounts and choose 'Accept' when Microsoft asks for the "
        "permissions.",
    ),
    **_rows(
        "90094 90095 90093 900941",
        "The directory wants an administrator to approve the app; a user may not consent alone.",
        Actor.DIRECTORY_ADMIN,
        f"{CONSENT}; then sign the mailbox in on /accounts. Without 'Verified sending' fewer "
        "permissions are asked for, to which users may often consent themselves.",
        admin_consent=True,
    ),
}

_APP = {
    **_rows(
        "7000215",
        "The client secret is wrong. Often its Secret ID was stored in place of its Value.",
        Actor.OPERATOR,
        NEW_SECRET,
    ),
    **_rows(
        "7000222",
        "The client secret has expired; no mailbox can send.",
        Actor.OPERATOR,
        NEW_SECRET,
    ),
    **_rows(
        "7000218 70002",
        "No usable credential came with the request.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Authentication the redirect URI must be of the platform 'Web'. Check "
        "that POSTROOM_CREDENTIAL names what the app has: a client secret, a certificate, or a "
        "managed identity.",
    ),
    **_rows(
        "700025",
        "The app is registered as a public client, which may have no credential.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Authentication move the redirect URI to the platform 'Web', and under "
        "Advanced settings set 'Allow public client flows' to No.",
    ),
    **_rows(
        "700027 50012 50013 700024",
        "The app's certificate or signed assertion was not accepted.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Certificates & secrets > Certificates the certificate that Postroom "
        "uses must be listed (compare the thumbprint) and not expired. Check POSTROOM_TENANT and the "
        "computer's clock too.",
    ),
    **_rows(
        "70021 700213",
        "No federated credential of the app fits its managed identity.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Certificates & secrets > Federated credentials compare: issuer "
        "https://login.microsoftonline.com/TENANT_ID/v2.0, subject = the identity's object "
        "(principal) id, audience api://AzureADTokenExchange. A new one takes some minutes to work.",
        Retry.LATER,
    ),
    **_rows(
        "700229",
        "The federated assertion was a user's token, not one of the managed identity.",
        Actor.OPERATOR,
        "Assign a user-assigned managed identity to the Function App (Azure portal > the Function "
        "App > Identity > User assigned) and put its client id into POSTROOM_IDENTITY_CLIENT_ID.",
    ),
    **_rows(
        "700016",
        "The app is not known in this directory.",
        Actor.OPERATOR,
        f"Compare POSTROOM_CLIENT_ID and POSTROOM_TENANT with {REGISTRATION} > Overview. For a "
        "mailbox of another directory, an administrator there opens the admin-consent link first.",
        admin_consent=True,
    ),
    **_rows(
        "70001 7000112",
        "The app is missing or disabled in the directory.",
        Actor.OPERATOR,
        f"In {ENTERPRISE_APP} > Properties set 'Enabled for users to sign in?' to Yes. If the app is "
        "not listed, compare POSTROOM_CLIENT_ID with the app registration's overview.",
    ),
    **_rows(
        "90002 900023",
        "There is no such directory.",
        Actor.OPERATOR,
        f"Set POSTROOM_TENANT to the Directory (tenant) ID that {REGISTRATION} > Overview shows, or "
        "to 'organizations', 'consumers' or 'common'.",
    ),
    **_rows(
        "900439",
        "The account is in a national cloud, and Postroom uses the public one.",
        Actor.OPERATOR,
        "Register the app in that cloud and set POSTROOM_AUTHORITY_HOST and POSTROOM_GRAPH_URL to "
        "its addresses (docs/settings.md).",
    ),
    **_rows(
        "50011",
        "The redirect URI that Postroom uses is not registered.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Authentication > platform 'Web' add exactly the URI that Microsoft's "
        "page shows: it is POSTROOM_REDIRECT_URI, or https://HOST/api/auth/callback with the app's host name.",
    ),
    **_rows(
        "500113 900971",
        "No redirect URI is registered for the app.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > Authentication add the platform 'Web' with Postroom's redirect URI, "
        "https://HOST/api/auth/callback with the app's host name.",
    ),
    **_rows(
        "500208 50194",
        "The app registration does not admit this kind of account here.",
        Actor.OPERATOR,
        f"Make POSTROOM_TENANT fit {REGISTRATION} > Authentication > Supported account types: the "
        "tenant id for one directory, 'organizations' for any directory, 'consumers' for personal "
        "accounts, 'common' for both.",
    ),
    **_rows(
        "9001023",
        "This kind of sign-in cannot be used at the shared address of all directories.",
        Actor.OPERATOR,
        "Set POSTROOM_TENANT to the directory (tenant) id.",
    ),
    **_rows(
        "650052 650056 650057",
        "A permission or service is missing in the app registration or in the directory.",
        Actor.OPERATOR,
        f"In {REGISTRATION} > API permissions add Microsoft Graph > Delegated: Mail.Send and "
        "User.Read, and choose 'Grant admin consent'. The directory needs Exchange Online.",
        admin_consent=True,
    ),
    **_rows(
        "70011 28002 28003 700022 9002313 900144 650053 70003 70005 70007 90014 90023",
        "Microsoft did not understand the request.",
        Actor.OPERATOR,
        f"Check that {REGISTRATION} > API permissions lists Microsoft Graph > Delegated: Mail.Send "
        "and User.Read. If it does this is a fault in Postroom: report it with the code.",
    ),
}

_ONE_SIGN_IN = {
    **_rows(
        "501481 50147",
        "The answer does not fit the sign-in it was sent to: two sign-ins got mixed up.",
        Actor.MAILBOX_OWNER,
        START_AGAIN,
    ),
    **_rows(
        "54005",
        "This sign-in was finished already.",
        Actor.MAILBOX_OWNER,
        "Look at /accounts: the mailbox may be there. If it is not, start again.",
    ),
    **_rows(
        "700005 500112",
        "The sign-in was begun in one way and finished in another: a setting was changed meanwhile.",
        Actor.MAILBOX_OWNER,
        START_AGAIN,
    ),
    **_rows(
        "16000 50058 50059",
        "Microsoft does not know which account is meant.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts and choose the account at Microsoft.",
    ),
}

_PASSING = {
    **_rows(
        "50196",
        "Microsoft saw too many equal requests in a row and refuses more for now.",
        Actor.NOBODY,
        "Wait some minutes. If it comes back, report it: Postroom asks too often then.",
        Retry.LATER,
    ),
    **_rows(
        "50033 90006 90024 90033 90055 90090",
        "Microsoft's sign-in service has a temporary problem.",
        Actor.NOBODY,
        "Wait a little and try again; https://status.cloud.microsoft says whether it is known.",
        Retry.LATER,
    ),
}

ROWS: dict[str, KnownError] = {
    **_ENDED,
    **_POLICIES,
    **_ACCOUNT,
    **_CONSENT,
    **_APP,
    **_ONE_SIGN_IN,
    **_PASSING,
}
