#!/usr/bin/env bash
# The app registration in Entra, by `az ad`: for tenants in which infra/entra.bicep (the Microsoft
# Graph extension) may not be used. Run it again at any time: it changes only what differs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/register-app.sh [options]

Registers Postroom in Entra, or brings its registration up to date. Prints the client id on standard
output, and what it does on standard error.

  --client-id ID           an existing registration
  --name NAME              without --client-id: the registration of this name whose only owner you are, once you
                           have confirmed it, or a new one
                           (default: Postroom (PREFIX, beginning of the subscription id))
  --prefix NAME            for that default (default: postroom)
  --redirect-uri URI       https://<app>/api/auth/callback; ones that are registered are kept
  --accounts WHO           who signs in: tenant, organizations, common or consumers (default: tenant
                           for a new registration; another keeps what it has)
  --scope SCOPE            one more delegated permission: Mail.ReadWrite, Mail.Send.Shared or
                           Mail.ReadWrite.Shared; may be given several times; none is taken away
  --vault NAME             make a client secret and store it in this Key Vault as
                           postroom-client-secret, unless the vault has one
  --renew-secret           make one even if the vault has one; the old one stays valid in Entra
  --wait SECONDS           how long to wait for a role on the vault to apply (default: 0)
  --secret-days DAYS       how long a client secret is valid (default: 180)
  --identity-principal ID  instead of a secret: the app's managed identity (its principal id) as
                           federated credential, beside those that are there
  --admin-consent          consent for the whole tenant (needs an administrator)
  --find-only              print the client id of the registration that would be gone on with; change nothing
  --yes                    do not ask
  --help                   this text
TEXT
}

say() { printf '%s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  if [ -n "${2:-}" ]; then printf '       %s\n' "$2" >&2; fi
  exit 1
}

needs_value() {
  if [ "$#" -lt 2 ] || [ -z "$2" ]; then die "$1 needs a value" "see infra/register-app.sh --help"; fi
}

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR source=caller.sh
. "$here/caller.sh"

# Delegated permissions of Microsoft Graph: https://learn.microsoft.com/graph/permissions-reference
graph_app='00000003-0000-0000-c000-000000000000'
scope_id() {
  case "$1" in
    Mail.Send) echo 'e383f46e-2787-4529-855e-0e479a3ffac0' ;;
    Mail.ReadWrite) echo '024d486e-b451-40bb-833d-3e66d98c5c73' ;;
    Mail.Send.Shared) echo 'a367ab51-6b49-43bf-a716-a1fb06d2a174' ;;
    Mail.ReadWrite.Shared) echo '5df07973-7d5d-46ed-9847-1271055cbd51' ;;
    User.Read) echo 'e1fe6dd8-ba31-4d61-89e7-88639da4683d' ;;
    offline_access) echo '7427e0e9-2fba-42fe-b0c0-848c9e6a8182' ;;
    openid) echo '37f7f235-527c-4136-accd-4a02d197296e' ;;
    email) echo '64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0' ;;
    profile) echo '14dad69e-099b-42c9-810b-d002981feec1' ;;
    *) return 1 ;;
  esac
}

name=''
prefix='postroom'
client_id=''
redirect_uri=''
accounts=''
scopes=(Mail.Send User.Read offline_access openid profile email)
vault=''
renew=false
patience=0
days=180
principal=''
consent=false
find_only=false
yes=false

while [ "$#" -gt 0 ]; do
  case "$1" in
    --name) needs_value "$@"; name="$2"; shift 2 ;;
    --client-id) needs_value "$@"; client_id="$2"; shift 2 ;;
    --prefix) needs_value "$@"; prefix="$2"; shift 2 ;;
    --redirect-uri) needs_value "$@"; redirect_uri="$2"; shift 2 ;;
    --accounts) needs_value "$@"; accounts="$2"; shift 2 ;;
    --scope) needs_value "$@"; scopes+=("$2"); shift 2 ;;
    --vault) needs_value "$@"; vault="$2"; shift 2 ;;
    --renew-secret) renew=true; shift ;;
    --wait) needs_value "$@"; patience="$2"; shift 2 ;;
    --secret-days) needs_value "$@"; days="$2"; shift 2 ;;
    --identity-principal) needs_value "$@"; principal="$2"; shift 2 ;;
    --admin-consent) consent=true; shift ;;
    --find-only) find_only=true; shift ;;
    --yes | -y) yes=true; shift ;;
    --help | -h) usage; exit 0 ;;
    *) die "unknown option: $1" "see infra/register-app.sh --help" ;;
  esac
done

case "$accounts" in
  '') audience='' ;;
  tenant) audience='AzureADMyOrg' ;;
  organizations) audience='AzureADMultipleOrgs' ;;
  common) audience='AzureADandPersonalMicrosoftAccount' ;;
  consumers) audience='PersonalMicrosoftAccount' ;;
  *) die "--accounts must be tenant, organizations, common or consumers" ;;
esac
case "$redirect_uri" in
  '' | https://*/api/auth/callback | http://localhost:*/api/auth/callback) ;;
  *) die "--redirect-uri must be https and end with /api/auth/callback" ;;
esac
case "$days" in
  *[!0-9]* | '' | 0*) die "--secret-days must be a whole number" ;;
esac
case "$patience" in
  *[!0-9]*) die "--wait must be a whole number of seconds" ;;
esac
if [ "$days" -gt 730 ]; then die "--secret-days must be 730 at most: Entra allows 24 months"; fi
if [ -n "$vault" ] && [ -n "$principal" ]; then
  die "--vault and --identity-principal exclude each other" "a federated credential needs no secret"
fi
for scope in "${scopes[@]}"; do
  scope_id "$scope" >/dev/null || die "unknown permission: $scope" "see infra/register-app.sh --help"
done

command -v az >/dev/null 2>&1 ||
  die "the Azure CLI (az) is missing" "install it: https://learn.microsoft.com/cli/azure/install-azure-cli"
python="${PYTHON:-python3}"
command -v "$python" >/dev/null 2>&1 ||
  die "$python is missing" "install Python 3, or name it: PYTHON=/path/to/python"
tenant="$(az account show --query tenantId --output tsv 2>/dev/null)" ||
  die "you are not signed in" "run: az login"

# Readable by nobody else, and gone when the script ends.
umask 077
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Shows a registration on standard error: whose it is, and all that lets somebody else use it. Answers with code 1
# where there is something that Postroom did not put there.
review() {
  "$python" -c '
import json, sys
from pathlib import Path

work = Path(sys.argv[1])
app, owners, trusted = (
    json.loads((work / name).read_text(encoding="utf-8") or "null")
    for name in ("app.json", "owners.json", "trusted.json")
)


def shown(one):
    return one.get("userPrincipalName") or one.get("displayName") or one.get("id")


def ours(name):
    return (name or "").startswith("postroom-")


web, spa, public = ((app.get(kind) or {}).get("redirectUris") or [] for kind in ("web", "spa", "publicClient"))
secrets = [one.get("displayName") or one.get("keyId") or "without a name" for one in app.get("passwordCredentials") or []]
keys = [one.get("displayName") or one.get("keyId") or "without a name" for one in app.get("keyCredentials") or []]
federated = [one for one in trusted or []]
print("  Registration:", app.get("displayName"), app.get("appId"))
print("  Made:        ", app.get("createdDateTime") or "at an unknown time")
print("  Owners:      ", "could not be read" if owners is None else ", ".join(map(shown, owners)) or "nobody")
for uri in web:
    print("  Redirect URI:", uri)
for uri in [*spa, *public]:
    print("  Redirect URI that needs no credential:", uri)
if app.get("isFallbackPublicClient"):
    print("  Public client: needs no credential")
for name in secrets:
    print("  Secret:      ", name)
for name in keys:
    print("  Certificate: ", name)
if trusted is None:
    print("  Federated credentials could not be read")
for one in federated:
    print("  Trusts:      ", one.get("name"), one.get("issuer"), one.get("subject"))
strange = [
    *(uri for uri in web if not uri.endswith("/api/auth/callback")),
    *spa,
    *public,
    *keys,
    *(name for name in secrets if not ours(name)),
    *(one for one in federated if not ours(one.get("name"))),
]
sys.exit(1 if strange or app.get("isFallbackPublicClient") or trusted is None else 0)
' "$work" >&2
}

# What review shows, of the registration $1. An empty file stands for what could not be read.
read_registration() {
  az ad app show --id "$1" --output json >"$work/app.json" || return 1
  az ad app owner list --id "$1" --output json >"$work/owners.json" 2>/dev/null </dev/null || : >"$work/owners.json"
  az ad app federated-credential list --id "$1" --output json >"$work/trusted.json" 2>/dev/null </dev/null ||
    : >"$work/trusted.json"
}

# A display name is nobody's: anybody may register another app under it, and may make you an owner of it beside
# himself. So a registration is gone on with by its name only where who runs this is its one and only owner, and
# after a look at what is in it. Sets client_id.
find_mine() {
  local quoted me candidate others owners strange answer
  # '' is how OData writes '.
  quoted="$(printf '%s' "$1" | sed "s/'/''/g")"
  az ad app list --filter "displayName eq '$quoted'" --query '[].[appId,createdDateTime]' --output tsv >"$work/found" ||
    die "the registrations could not be read" "ask for the right to read applications, or give --client-id"
  if ! [ -s "$work/found" ]; then return; fi
  me="$(caller_id)"
  mine=()
  others=''
  while IFS=$'\t' read -r candidate created; do
    if [ -z "$candidate" ]; then continue; fi
    az ad app owner list --id "$candidate" --query '[].[id, userPrincipalName || displayName || id]' \
      --output tsv >"$work/owners" </dev/null || die "the owners of the registration $candidate could not be read" "give --client-id"
    mine_alone=false
    owners=''
    while IFS=$'\t' read -r owner shown; do
      if [ -z "$owner" ]; then continue; fi
      if [ -z "$owners" ] && [ "$owner" = "$me" ]; then mine_alone=true; else mine_alone=false; fi
      owners="$owners${owners:+, }$shown"
    done <"$work/owners"
    if [ "$mine_alone" = true ]; then mine+=("$candidate"); fi
    others="$others
         $candidate, made ${created:-at an unknown time}, owned by ${owners:-nobody}"
  done <"$work/found"
  if [ "${#mine[@]}" -gt 1 ]; then
    die "several registrations are called $1; give --client-id with the one that is meant:$others"
  elif [ "${#mine[@]}" -eq 0 ]; then
    die "a registration is called $1, and you are not its only owner:$others" \
      "is it the one? give --client-id with its id; otherwise another --name"
  fi
  say "You are the only owner of a registration of this name:"
  read_registration "${mine[0]}" || die "the registration ${mine[0]} could not be read"
  strange=false
  review || strange=true
  if [ "$strange" = true ] && ! [ -t 0 ]; then
    die "in the registration ${mine[0]} is something that Postroom did not put there, and there is nobody to ask" \
      "is it the one? give --client-id ${mine[0]}; otherwise another --name"
  fi
  if [ "$strange" = true ] || [ "$yes" = false ]; then
    if ! [ -t 0 ]; then die "there is nobody to ask whether to go on with it" "give --client-id ${mine[0]}, or --yes"; fi
    printf 'Go on with it? [y/N] ' >&2
    read -r answer
    case "$answer" in
      y | Y | yes) ;;
      *) die "stopped; nothing was changed" "another --name makes a new registration" ;;
    esac
  fi
  client_id="${mine[0]}"
  reviewed=true
}

reviewed=false
if [ -z "$client_id" ]; then
  subscription="$(az account show --query id --output tsv)"
  name="${name:-$(registration_name "$prefix" '' "$subscription")}"
  find_mine "$name"
fi
if [ "$find_only" = true ]; then
  if [ -n "$client_id" ]; then printf '%s\n' "$client_id"; fi
  exit 0
fi

# What has to change, of a registration that is there: nothing is taken away that somebody else put there.
difference() {
  for scope in "${scopes[@]}"; do scope_id "$scope"; done | "$python" -c '
import json, sys
from pathlib import Path

work, graph, uri, audience, token = Path(sys.argv[1]), *sys.argv[2:]
app = json.loads((work / "app.json").read_text(encoding="utf-8"))
needed = list(app.get("requiredResourceAccess") or [])
access = next((one for one in needed if one["resourceAppId"] == graph), None)
if access is None:
    needed.append(access := {"resourceAppId": graph, "resourceAccess": []})
known = {one["id"] for one in access["resourceAccess"] if one["type"] == "Scope"}
missing = sorted({line.strip() for line in sys.stdin} - known)
access["resourceAccess"] += [{"id": one, "type": "Scope"} for one in missing]
if missing:
    (work / "permissions.json").write_text(json.dumps(needed), encoding="utf-8")
uris = (app.get("web") or {}).get("redirectUris") or []
if uri and uri not in uris:
    (work / "uris").write_text("".join(f"{one}\n" for one in [*uris, uri]), encoding="utf-8")
if audience and app.get("signInAudience") != audience:
    print("audience")
if token and (app.get("api") or {}).get("requestedAccessTokenVersion") != 2:
    print("token")
' "$work" "$graph_app" "$redirect_uri" "$audience" "$token"
}

# Entra asks for this where personal accounts may sign in.
case "$accounts" in common | consumers) token='2' ;; *) token='' ;; esac
settings=()
if [ -z "$client_id" ]; then
  audience="${audience:-AzureADMyOrg}"
  say "Registering $name ($audience) …"
  printf '{}' >"$work/app.json"
  difference >/dev/null
  settings+=(--sign-in-audience "$audience" --required-resource-accesses "@$work/permissions.json")
  if [ -n "$token" ]; then settings+=(--requested-access-token-version 2); fi
  if [ -n "$redirect_uri" ]; then settings+=(--web-redirect-uris "$redirect_uri"); fi
  client_id="$(az ad app create --display-name "$name" "${settings[@]}" --query appId --output tsv)" ||
    die "the registration was not made" \
      "you need the role Application Developer, or an administrator runs this and gives you the client id"
else
  read_registration "$client_id" ||
    die "there is no registration $client_id in tenant $tenant" "leave --client-id out to make one"
  if [ "$reviewed" = false ]; then review || true; fi
  changes="$(difference)"
  if [ -s "$work/permissions.json" ]; then settings+=(--required-resource-accesses "@$work/permissions.json"); fi
  if [ -s "$work/uris" ]; then
    settings+=(--web-redirect-uris)
    while IFS= read -r uri; do settings+=("$uri"); done <"$work/uris"
  fi
  case "$changes" in *audience*) settings+=(--sign-in-audience "$audience") ;; esac
  case "$changes" in *token*) settings+=(--requested-access-token-version 2) ;; esac
  if [ "${#settings[@]}" -eq 0 ]; then
    say "The registration $client_id is as it should be."
  else
    say "Bringing the registration $client_id up to date …"
    az ad app update --id "$client_id" "${settings[@]}" --output none ||
      die "the registration $client_id was not changed" \
        "one of its owners can, or an Application Administrator or Cloud Application Administrator"
  fi
fi

if ! az ad sp show --id "$client_id" --output none 2>/dev/null; then
  az ad sp create --id "$client_id" --output none ||
    die "the enterprise application was not made" "the role Application Developer is needed"
fi

store_secret() {
  local label until stored key code
  # The one secret, so that a role on this secret alone is enough. Code 3 is az's for what is not there.
  while :; do
    code=0
    stored="$(az keyvault secret show --vault-name "$vault" --name postroom-client-secret \
      --query id --output tsv 2>"$work/said")" || code=$?
    if [ "$code" = 0 ]; then break; fi
    case "$code $(cat "$work/said")" in
      3\ * | *SecretNotFound*)
        stored=''
        break
        ;;
    esac
    if [ "$SECONDS" -lt "$patience" ]; then
      say "Waiting for the right to write to the vault $vault …"
      sleep "${WAIT_INTERVAL:-15}"
      continue
    fi
    tail -n 3 "$work/said" >&2
    die "the vault $vault could not be read" \
      "give yourself the role Key Vault Secrets Officer on it (it takes minutes to apply); a private vault is reached from its network alone, so use --identity-principal there"
  done
  if [ -n "$stored" ] && [ "$renew" = false ]; then
    say "The vault $vault has a client secret already; --renew-secret makes another."
    return
  fi
  label="postroom-$(date -u +%Y%m%d%H%M%S)"
  until="$("$python" -c '
import sys
from datetime import datetime, timedelta, timezone
print((datetime.now(timezone.utc) + timedelta(days=int(sys.argv[1]))).strftime("%Y-%m-%dT%H:%M:%SZ"))
' "$days")"
  say "Making a client secret that is valid until $until …"
  # Into a file, and from there into the vault: never on a command line, never on the screen.
  az ad app credential reset --id "$client_id" --append --display-name "$label" --end-date "$until" \
    --query password --output tsv 2>"$work/said" | tr -d '\r\n' >"$work/secret" ||
    die "Entra made no client secret" "$(tail -n 1 "$work/said")"
  if ! [ -s "$work/secret" ]; then die "Entra made no client secret"; fi
  if ! az keyvault secret set --vault-name "$vault" --name postroom-client-secret \
    --file "$work/secret" --encoding utf-8 --expires "$until" --output none 2>"$work/said"; then
    key="$(az ad app credential list --id "$client_id" \
      --query "[?displayName=='$label'].keyId" --output tsv || true)"
    if [ -n "$key" ]; then
      az ad app credential delete --id "$client_id" --key-id "$key" --output none || true
    fi
    die "the client secret was not stored in the vault $vault; it was removed from Entra again" \
      "give yourself the role Key Vault Secrets Officer on the vault (it takes minutes to apply), then repeat"
  fi
  rm -f "$work/secret"
  say "Stored in the vault $vault as postroom-client-secret. Renew it before $until: --renew-secret."
}

trust_identity() {
  # https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
  local cloud audience_uri='api://AzureADTokenExchange' login known
  cloud="$(az cloud show --query name --output tsv)"
  case "$cloud" in
    AzureUSGovernment) audience_uri='api://AzureADTokenExchangeUSGov' ;;
    AzureChinaCloud) audience_uri='api://AzureADTokenExchangeChina' ;;
  esac
  login="$(az cloud show --query endpoints.activeDirectory --output tsv)"
  az ad app federated-credential list --id "$client_id" --output json >"$work/trusted.json" ||
    die "the federated credentials of $client_id could not be read"
  # Named after its identity, so that it replaces no other's; Entra takes each pair of issuer and subject once.
  known="$("$python" -c '
import json, sys
from pathlib import Path

work, login, tenant, subject, audience = sys.argv[1:]
trusted = json.loads(Path(work, "trusted.json").read_text(encoding="utf-8"))
issuer = f"{login.rstrip(chr(47))}/{tenant}/v2.0"
wanted = {
    "name": f"postroom-{subject}",
    "description": "The managed identity of a function app",
    "issuer": issuer,
    "subject": subject,
    "audiences": [audience],
}
Path(work, "federated.json").write_text(json.dumps(wanted), encoding="utf-8")
known = any(one["subject"] == subject and one["issuer"] == issuer for one in trusted)
print("trusted" if known else "full" if len(trusted) >= 20 else "new")
' "$work" "$login" "$tenant" "$principal" "$audience_uri")"
  case "$known" in
    trusted) say "The managed identity is trusted already." ;;
    full)
      die "the registration $client_id has 20 federated credentials, and Entra takes no more" \
        "remove those whose app is gone: az ad app federated-credential list --id $client_id --output table, then … delete --id $client_id --federated-credential-id NAME"
      ;;
    *)
      az ad app federated-credential create --id "$client_id" \
        --parameters "@$work/federated.json" --output none ||
        die "the managed identity is not trusted" "an owner of $client_id can add it, or an Application Administrator"
      say "The managed identity is trusted; it takes minutes to apply."
      ;;
  esac
}

if [ -n "$vault" ]; then store_secret; fi
if [ -n "$principal" ]; then trust_identity; fi
if [ "$consent" = true ]; then
  az ad app permission admin-consent --id "$client_id" --output none ||
    die "the consent was not given" "a Cloud Application Administrator or higher runs: az ad app permission admin-consent --id $client_id"
fi

printf '%s\n' "$client_id"
