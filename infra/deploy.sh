#!/usr/bin/env bash
# All of Postroom into one resource group, with plain `az`. Run it again at any time: what is as it
# should be stays, and the code is published anew, which restarts the app.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/deploy.sh --resource-group GROUP --location REGION (--register | --client-id ID) [options]

Shows what would change, asks, deploys infra/main.bicep, publishes the package, waits until the app
is well, and prints the next step. What is not given, stays as it was deployed last.

  --resource-group GROUP   made if it is not there
  --location REGION        such as westeurope; the region must offer Flex Consumption
  --register               make the app registration too (infra/register-app.sh), or go on with the one
                           of the last deployment
  --client-id ID           an app registration that is there
  --prefix NAME            what all names begin with (default: postroom)
  --tenant WHO             who signs in: a tenant id or domain, organizations, common or consumers
                           (default: the tenant you are signed in to)
  --credential KIND        how the app proves who it is: managed-identity (default), certificate or secret
  --allowed-mailboxes LIST which mailboxes may be signed in: addresses, domains, tenant ids
  --alert-email ADDRESS    who is told when something is wrong
  --network KIND           public (default) or private
  --parameter NAME=VALUE   any other parameter of infra/main.bicep; may be given several times. With nothing
                           behind =, what was given earlier is cleared: --parameter alertEmail=
  --name NAME              display name of a registration that is made
                           (default: Postroom (PREFIX, GROUP, beginning of the subscription id))
  --what-if                only show what would change
  --code-only              only publish the package again
  --yes                    do not ask; a registration is taken by its name only where you are its one owner
  --help                   this text

Environment: HEALTH_SECONDS, how long to wait for the app (default 300); PYTHON, the interpreter.
TEXT
}

say() { printf '%s\n' "$*"; }

warn() { printf 'warning: %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for remedy in "$@"; do printf '       %s\n' "$remedy" >&2; done
  exit 1
}

needs_value() {
  if [ "$#" -lt 2 ] || [ -z "$2" ]; then die "$1 needs a value" "see infra/deploy.sh --help"; fi
}

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"
# shellcheck source-path=SCRIPTDIR source=caller.sh
. "$here/caller.sh"

group=''
location=''
prefix=''
client_id=''
register=false
tenant=''
credential=''
mailboxes=''
alert_email=''
network=''
extra=()
name=''
only_show=false
code_only=false
yes=false

while [ "$#" -gt 0 ]; do
  case "$1" in
    --resource-group | -g) needs_value "$@"; group="$2"; shift 2 ;;
    --location | -l) needs_value "$@"; location="$2"; shift 2 ;;
    --register) register=true; shift ;;
    --client-id) needs_value "$@"; client_id="$2"; shift 2 ;;
    --prefix) needs_value "$@"; prefix="$2"; shift 2 ;;
    --tenant) needs_value "$@"; tenant="$2"; shift 2 ;;
    --credential) needs_value "$@"; credential="$2"; shift 2 ;;
    --allowed-mailboxes) needs_value "$@"; mailboxes="$2"; shift 2 ;;
    --alert-email) needs_value "$@"; alert_email="$2"; shift 2 ;;
    --network) needs_value "$@"; network="$2"; shift 2 ;;
    --parameter) needs_value "$@"; extra+=("$2"); shift 2 ;;
    --name) needs_value "$@"; name="$2"; shift 2 ;;
    --what-if) only_show=true; shift ;;
    --code-only) code_only=true; shift ;;
    --yes | -y) yes=true; shift ;;
    --help | -h) usage; exit 0 ;;
    *) die "unknown option: $1" "see infra/deploy.sh --help" ;;
  esac
done

if [ -z "$group" ]; then die "--resource-group is missing" "see infra/deploy.sh --help"; fi
if [ "$code_only" = true ] && [ "$only_show" = true ]; then
  die "--what-if and --code-only exclude each other" "there is no preview of a package; --code-only publishes it"
fi
if [ "$code_only" = false ]; then
  if [ -z "$location" ]; then die "--location is missing" "az account list-locations --output table lists them"; fi
  if [ "$register" = true ] && [ -n "$client_id" ]; then die "--register and --client-id exclude each other"; fi
  if [ "$register" = false ] && [ -z "$client_id" ]; then
    die "--register or --client-id is missing" \
      "--register makes the app registration; with --client-id you give one that is there"
  fi
fi
case "$credential" in '' | secret | certificate | managed-identity) ;; *) die "--credential must be managed-identity, certificate or secret" ;; esac
case "$network" in '' | public | private) ;; *) die "--network must be public or private" ;; esac
for parameter in ${extra[@]+"${extra[@]}"}; do
  case "$parameter" in
    prefix=* | location=* | clientId=* | authorityTenant=* | credential=* | network=*)
      die "${parameter%%=*} has an option of its own" "see infra/deploy.sh --help"
      ;;
    [A-Za-z]*=*) ;;
    *) die "--parameter must be NAME=VALUE" ;;
  esac
done

command -v az >/dev/null 2>&1 ||
  die "the Azure CLI (az) is missing" "install it: https://learn.microsoft.com/cli/azure/install-azure-cli"
command -v curl >/dev/null 2>&1 || die "curl is missing" "install it with your system's packages"
command -v "$python" >/dev/null 2>&1 ||
  die "$python is missing" "install Python 3.11 or newer, or name it: PYTHON=/path/to/python"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# --validation-level came with az 2.76.0; the templates need Bicep 0.36.1. Bicep that is not there is fetched by az.
older() {
  "$python" -c '
import re, sys
found, needed = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in sys.argv[1:])
sys.exit(not found or found >= needed)' "$1" "$2"
}
az_version="$(az version --query '"azure-cli"' --output tsv 2>/dev/null || true)"
if older "$az_version" 2.76.0; then die "az $az_version is too old: 2.76.0 or newer is needed" "run: az upgrade"; fi
bicep_version="$(az bicep version 2>/dev/null || true)"
bicep_version="${bicep_version#*version }"
if older "${bicep_version%% *}" 0.36.1; then
  die "Bicep ${bicep_version%% *} is too old: 0.36.1 or newer is needed" "run: az bicep upgrade"
fi

signed_in="$(az account show --query '[name, id, tenantId]' --output json 2>/dev/null)" ||
  die "you are not signed in" "run: az login    (and choose the subscription: az account set --subscription NAME)"
account_part() { printf '%s' "$signed_in" | "$python" -c 'import json, sys; print(json.load(sys.stdin)[int(sys.argv[1])])' "$1"; }
home_tenant="$(account_part 2)"
lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }
group_exists="$(az group exists --name "$group" --output tsv)"

# What is not given stays as it was deployed last: a run with fewer options must not open what an earlier one
# closed. So where that cannot be read, nothing is deployed.
if [ "$group_exists" = true ]; then
  az deployment group list --resource-group "$group" --output json \
    --query '[].{name: name, timestamp: properties.timestamp, parameters: properties.parameters, outputs: properties.outputs}' \
    >"$work/deployments.json" ||
    die "what was deployed in $group before could not be read, so what is not given would be lost; nothing was changed" \
      "you need the role Reader on it at least; otherwise try again"
else
  printf '[]' >"$work/deployments.json"
fi
code=0
several="$("$python" "$here/remembered.py" "$here/main.bicep" "$prefix" "$work" <"$work/deployments.json")" || code=$?
case "$code" in
  0) ;;
  4) die "there are several Postrooms in $group: $several" "say with --prefix which one is meant" ;;
  *) die "what was deployed in $group before could not be understood; nothing was changed" ;;
esac
deployment="$(cat "$work/name")"
recall() {
  "$python" -c '
import json, sys
found = json.load(open(sys.argv[1], encoding="utf-8"))["parameters"].get(sys.argv[2]) or {}
print(found.get("value") or "")' "$work/parameters.json" "$1"
}
if [ -s "$work/by" ]; then
  warn "this Postroom was deployed last as $(cat "$work/by"), not by this script; its parameters are gone on with. If azd did it, go on with azd: its environment does not learn what is changed here"
fi
if [ -n "$tenant" ]; then tenant_given=true; else tenant_given=false; fi
tenant="${tenant:-$(recall authorityTenant)}"
tenant="${tenant:-$home_tenant}"
prefix="${prefix:-$(recall prefix)}"
prefix="${prefix:-postroom}"
credential="${credential:-$(recall credential)}"
credential="${credential:-managed-identity}"
network="${network:-$(recall network)}"
network="${network:-public}"
mailboxes="${mailboxes:-$(recall allowedMailboxes)}"
alert_email="${alert_email:-$(recall alertEmail)}"
name="${name:-$(registration_name "$prefix" "$group" "$(account_part 1)")}"
case "$tenant" in
  organizations | common | consumers) accounts="$tenant" ;;
  *) accounts='tenant' ;;
esac
say "Subscription: $(account_part 0) ($(account_part 1)), resource group: $group"
# docs/decisions/0011-addresses-are-no-proof-across-directories.md
case "$tenant" in
  ????????-????-????-????-????????????)
    if [ "$(lower "$tenant")" != "$(lower "$home_tenant")" ] && [ "$code_only" = false ]; then
      if [ "$register" = true ]; then
        die "the registration would be made in tenant $home_tenant and admit that tenant alone, but mailboxes of $tenant shall sign in" \
          "with --tenant organizations --allowed-mailboxes $tenant the registration is made for other tenants too" \
          "or give --client-id with a registration that admits $tenant; one in that tenant takes --credential secret or certificate alone"
      fi
      warn "mailboxes of tenant $tenant sign in, and the subscription is of $home_tenant: the registration must admit both, and a managed identity is trusted only by a registration in $home_tenant"
    fi
    ;;
esac
case "$accounts" in
  organizations | common)
    if [ -z "$mailboxes" ]; then
      warn "--tenant $accounts without --allowed-mailboxes admits every mailbox of every organisation"
    elif ! "$python" -c '
import re, sys
entries = re.split("[\\s,;]+", sys.argv[1].strip())
sys.exit(not all(re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", e) for e in entries if e))
' "$mailboxes"; then
      warn "with --tenant $accounts an allowed address or domain is no proof: any directory can claim it; allow tenant ids (docs/settings.md)"
    fi
    ;;
esac

confirm() {
  if [ "$yes" = true ]; then return; fi
  if ! [ -t 0 ]; then die "there is nobody to ask" "give --yes"; fi
  local answer
  printf '%s [y/N] ' "$1"
  read -r answer
  case "$answer" in y | Y | yes) ;; *) die "stopped; $(made_so_far)" ;; esac
}

# Was a parameter of the template given with --parameter?
given() {
  local parameter
  for parameter in ${extra[@]+"${extra[@]}"}; do
    if [ "${parameter%%=*}" = "$1" ]; then return 0; fi
  done
  return 1
}

# What this run has made already, for the message when it stops.
made=''
made_so_far() {
  if [ -n "$made" ]; then printf 'made, and used by the next run: %s' "$made"; else printf 'nothing was changed'; fi
}
administrator=''
administrator_type=''
stores_secret=true

deploy_template() {
  if [ "$register" = true ]; then
    client_id="$(recall clientId)"
    if [ -n "$client_id" ]; then
      local gone=0
      az ad app show --id "$client_id" --query appId --output none 2>/dev/null || gone=$?
      if [ "$gone" = 3 ]; then
        warn "the registration $client_id of the last deployment is not there any more"
        client_id=''
      fi
    fi
    if [ -z "$client_id" ]; then
      find=(--name "$name" --find-only)
      if [ "$yes" = true ] || [ "$only_show" = true ]; then find+=(--yes); fi
      client_id="$("$here/register-app.sh" "${find[@]}")"
    fi
    if [ -z "$client_id" ] && [ "$only_show" = true ]; then
      say "The app registration \"$name\" would be made; its client id is shown as zeros below."
      client_id='00000000-0000-0000-0000-000000000000'
    fi
  fi
  if [ "$group_exists" != true ]; then
    if [ "$only_show" = true ]; then
      say "The resource group $group is not there: all of infra/main.bicep would be made in it."
      exit 0
    fi
    confirm "Make the resource group $group in $location?"
    az group create --name "$group" --location "$location" --output none ||
      die "the resource group was not made" "you need the role Contributor on the subscription, or somebody makes it for you"
    made="the resource group $group"
  fi
  if [ -z "$client_id" ]; then
    confirm "Make the app registration \"$name\" in tenant $home_tenant?"
    client_id="$("$here/register-app.sh" --name "$name" --accounts "$accounts")" ||
      die "there is no app registration; $(made_so_far)" "then run the same command again: it goes on where it stopped"
    made="$made${made:+, }the app registration $client_id"
  fi
  # Later ones win: first all that was given the last time.
  parameters=(
    "@$work/parameters.json"
    "prefix=$prefix" "location=$location" "clientId=$client_id" "authorityTenant=$tenant"
    "credential=$credential" "network=$network"
  )
  if ! given allowedMailboxes; then parameters+=("allowedMailboxes=$mailboxes"); fi
  if ! given alertEmail; then parameters+=("alertEmail=$alert_email"); fi
  parameters+=(${extra[@]+"${extra[@]}"})
  # Writing a secret takes a role on the vault, which an owner of the subscription does not have. It is given to
  # who stores the first one; a later deployment, by whomever, leaves it as it is.
  if [ "$credential" = secret ] && ! given administratorId; then
    if [ "$(recall credential)" = secret ]; then
      administrator="$(recall administratorId)"
      administrator_type="$(recall administratorType)"
      if [ "$register" = true ] && [ "$administrator" != "$(caller_id)" ]; then stores_secret=false; fi
    elif [ "$register" = true ]; then
      administrator="$(caller_id)"
      administrator_type="$(caller_type)"
      if [ -z "$administrator" ]; then
        die "Entra does not say who you are, so nobody could store the client secret" \
          "give --parameter administratorId=OBJECT_ID of who does, with --parameter administratorType=User, Group or ServicePrincipal"
      fi
    fi
    if [ -n "$administrator" ]; then
      parameters+=("administratorId=$administrator")
      case "$administrator_type" in
        Group | ServicePrincipal) parameters+=(administratorType="$administrator_type") ;;
      esac
    fi
  elif [ "$credential" != secret ] && [ -n "$(recall administratorId)" ] && ! given administratorId; then
    parameters+=(administratorId=)
  fi
  say 'What would change:'
  az deployment group what-if --resource-group "$group" --name "$deployment" \
    --validation-level ProviderNoRbac --template-file "$here/main.bicep" --parameters "${parameters[@]}" ||
    die "the preview failed; nothing was deployed; $(made_so_far)" \
      "a name that is taken: give another --prefix; a region without Flex Consumption: another --location" \
      "a missing right: you need Contributor and Role Based Access Control Administrator (or Owner) on $group"
  if [ "$only_show" = true ]; then exit 0; fi
  confirm 'Deploy this?'
  say 'Deploying (several minutes the first time) …'
  az deployment group create --resource-group "$group" --name "$deployment" --mode Incremental \
    --template-file "$here/main.bicep" --parameters "${parameters[@]}" --output none ||
    die "the deployment failed; the code was not published" \
      "what happened: az deployment operation group list --resource-group '$group' --name $deployment --query \"[?properties.provisioningState=='Failed'].properties.statusMessage\"" \
      "a vault name that is soft-deleted, a quota, a missing right: docs/deploy.md, Troubleshooting" \
      "then run the same command again: it goes on where it stopped"
}

if [ "$code_only" = false ]; then
  deploy_template
elif [ "$group_exists" != true ]; then
  die "there is no resource group $group" "leave --code-only out"
fi

if [ "$code_only" = false ]; then
  az deployment group show --resource-group "$group" --name "$deployment" \
    --query properties.outputs --output json >"$work/outputs.json" ||
    die "the deployment's outputs could not be read" "run the same command again"
fi
output() {
  "$python" -c '
import json, sys
outputs = json.load(open(sys.argv[1], encoding="utf-8")) or {}
print((outputs.get(sys.argv[2]) or {}).get("value") or "")
' "$work/outputs.json" "$1"
}
app="$(output functionAppName)"
redirect_uri="$(output redirectUri)"
send_url="$(output sendUrl)"
if [ -z "$app" ] || [ -z "$send_url" ] || [ -z "$redirect_uri" ]; then
  die "no deployment of this Postroom in $group has outputs: there was none, or the last one failed" \
    "run without --code-only first"
fi
url="${send_url%/api/send}"

if [ "$register" = true ] && [ "$code_only" = false ]; then
  registration=(--client-id "$client_id" --redirect-uri "$redirect_uri")
  if [ "$tenant_given" = true ]; then registration+=(--accounts "$accounts"); fi
  if [ "$credential" = certificate ]; then
    say "The certificate is left as it is. Making or renewing it: docs/operations.md, Renew the certificate."
  elif [ "$credential" != secret ]; then
    registration+=(--identity-principal "$(output identityPrincipalId)")
  elif [ "$stores_secret" = true ]; then
    registration+=(--vault "$(output vaultName)" --wait 300)
  else
    say "The client secret is left as it is. Storing or renewing it: docs/operations.md, Renew the client secret."
  fi
  "$here/register-app.sh" "${registration[@]}" >/dev/null
fi

"$here/package.sh" --output "$work/postroom.zip" || die "the package was not built; nothing was published"
say 'Publishing (the packages are installed in Azure; several minutes) …'
az functionapp deployment source config-zip --resource-group "$group" --name "$app" \
  --src "$work/postroom.zip" --build-remote true --output none ||
  die "the package was not published; the version before it goes on running if there was one" \
    "try again: infra/deploy.sh --resource-group '$group' --prefix '$prefix' --code-only" \
    "Azure sometimes reports a failure although the build went well: look at $url/api/health first"

printf 'Waiting for %s/api/health ' "$url"
deadline=$((SECONDS + ${HEALTH_SECONDS:-300}))
status=''
until [ "$status" = 200 ]; do
  if [ "$SECONDS" -ge "$deadline" ]; then
    printf '\n'
    if [ -s "$work/health" ]; then head -c 2000 "$work/health" >&2; printf '\n' >&2; fi
    die "the app is not well (last answer: ${status:-none})" \
      "503 misconfigured: a setting is wrong; $url/api/health/details names it (with a function key)" \
      "404 or no answer: the app is still starting, or did not start: docs/deploy.md, Troubleshooting"
  fi
  status="$(curl --silent --max-time 20 --output "$work/health" --write-out '%{http_code}' "$url/api/health" || true)"
  if [ "$status" != 200 ]; then printf '.'; sleep "${HEALTH_INTERVAL:-5}"; fi
done
printf ' well\n\n'

say "Postroom is up: $url"
say ''
say "Next: sign a mailbox in at $(output signInUrl)"
say '  It asks for a function key. This shows the one of the pages, which opens no call of the API (keep it to yourself):'
say "    az functionapp function keys list --resource-group '$group' --name '$app' --function-name open_session --query default --output tsv"
say ''
say "  Redirect URI:  $redirect_uri"
if [ "$register" = false ] && [ "$code_only" = false ]; then
  audience_option=''
  if [ "$accounts" != tenant ]; then audience_option=" --accounts $accounts"; fi
  say '  It must be in the app registration, as platform Web. One command does that, and the credential:'
  if [ "$credential" = secret ]; then
    say "    infra/register-app.sh --client-id $client_id$audience_option --redirect-uri $redirect_uri --vault $(output vaultName)"
    say '  Who runs it must be allowed to write to the vault: deploy once more with'
    say "    --parameter administratorId=<their object id: az ad signed-in-user show --query id>"
  elif [ "$credential" = certificate ]; then
    say "    infra/register-app.sh --client-id $client_id$audience_option --redirect-uri $redirect_uri"
    say '  The certificate: docs/operations.md, Renew the certificate.'
  else
    say "    infra/register-app.sh --client-id $client_id$audience_option --redirect-uri $redirect_uri --identity-principal $(output identityPrincipalId)"
  fi
fi
say "  Send:          POST $send_url"
say "  Queue:         $(output queueUrl)"
say "  Vault:         $(output vaultName)"
