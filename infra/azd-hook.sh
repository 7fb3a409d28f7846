#!/usr/bin/env bash
# What `azd up` runs around provisioning (azure.yaml): the app registration before, its redirect URI
# and credential after, the next step at the end. azd gives its environment as variables, and the
# outputs of infra/main.bicep under their names.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# shellcheck source-path=SCRIPTDIR source=caller.sh
. "$here/caller.sh"

die() {
  printf 'error: %s\n' "$1" >&2
  printf '       %s\n' "$2" >&2
  exit 1
}

credential="${POSTROOM_CREDENTIAL:-managed-identity}"
# One directory is what a registration has as it comes; another choice is left as it is.
accounts=()
case "${POSTROOM_TENANT:-}" in organizations | common | consumers) accounts=(--accounts "$POSTROOM_TENANT") ;; esac

# docs/decisions/0011-addresses-are-no-proof-across-directories.md
case "${POSTROOM_TENANT:-}" in
  organizations | common)
    if [ "${1:-}" = preprovision ]; then
      printf 'warning: POSTROOM_TENANT %s: only tenant ids in POSTROOM_ALLOWED_MAILBOXES keep others out; without any, every mailbox of every organisation is admitted (docs/settings.md)\n' \
        "$POSTROOM_TENANT" >&2
    fi
    ;;
esac

case "${1:-}" in
  preprovision)
    command -v az >/dev/null 2>&1 ||
      die "the Azure CLI (az) is missing" "install it, or make the registration yourself: azd env set POSTROOM_CLIENT_ID <id>"
    # The right to write to the vault, once, and for who stores the secret: a value that is set stays, an empty one too.
    if [ "$credential" = secret ] && [ -z "${POSTROOM_ADMINISTRATOR_ID+set}" ] &&
      { [ -z "${POSTROOM_CLIENT_ID:-}" ] || [ "${POSTROOM_REGISTERED_BY_AZD:-}" = true ]; }; then
      administrator="$(caller_id)"
      if [ -z "$administrator" ]; then
        die "Entra does not say who you are, so nobody could store the client secret" \
          "azd env set POSTROOM_ADMINISTRATOR_ID <object id of who does>"
      fi
      azd env set POSTROOM_ADMINISTRATOR_ID "$administrator"
      azd env set POSTROOM_ADMINISTRATOR_TYPE "$(caller_type)"
    fi
    if [ -z "${POSTROOM_CLIENT_ID:-}" ]; then
      home_tenant="$(az account show --query tenantId --output tsv)" || die "you are not signed in" "run: az login"
      case "${POSTROOM_TENANT:-}" in
        "$home_tenant" | '') ;;
        ????????-????-????-????-????????????)
          die "the registration would be made in tenant $home_tenant and admit that tenant alone, but mailboxes of $POSTROOM_TENANT shall sign in" \
            "azd env set POSTROOM_TENANT organizations, and POSTROOM_ALLOWED_MAILBOXES $POSTROOM_TENANT"
          ;;
      esac
      subscription="${AZURE_SUBSCRIPTION_ID:-$(az account show --query id --output tsv)}" ||
        die "you are not signed in" "run: az login"
      name="${POSTROOM_REGISTRATION_NAME:-$(registration_name "${POSTROOM_PREFIX:-postroom}" \
        "${AZURE_RESOURCE_GROUP:-${AZURE_ENV_NAME:-azd}}" "$subscription")}"
      client_id="$("$here/register-app.sh" --name "$name" ${accounts[@]+"${accounts[@]}"})" ||
        die "there is no registration" "to go on with one that is there: azd env set POSTROOM_CLIENT_ID <its client id>"
      azd env set POSTROOM_CLIENT_ID "$client_id"
      azd env set POSTROOM_REGISTERED_BY_AZD true
    fi
    if [ -z "${POSTROOM_TENANT:-}" ]; then
      tenant="$(az account show --query tenantId --output tsv)" || die "you are not signed in" "run: az login"
      azd env set POSTROOM_TENANT "$tenant"
    fi
    ;;
  postprovision)
    # Somebody else's registration is left alone.
    if [ "${POSTROOM_REGISTERED_BY_AZD:-}" != true ]; then
      finish="infra/register-app.sh --client-id ${POSTROOM_CLIENT_ID:-}${accounts[*]+ ${accounts[*]}} --redirect-uri ${redirectUri:-}"
      if [ "$credential" = secret ]; then
        finish="$finish --vault ${vaultName:-}"
      elif [ "$credential" != certificate ]; then
        finish="$finish --identity-principal ${identityPrincipalId:-}"
      fi
      printf 'Whoever looks after the app registration runs:\n    %s\n' "$finish"
      if [ "$credential" = secret ]; then
        printf 'and must be allowed to write to the vault: azd env set POSTROOM_ADMINISTRATOR_ID <their object id>, azd provision\n'
      elif [ "$credential" = certificate ]; then
        printf 'and makes the certificate: docs/operations.md, Renew the certificate\n'
      fi
      exit 0
    fi
    registration=(--client-id "${POSTROOM_CLIENT_ID:?}" ${accounts[@]+"${accounts[@]}"} --redirect-uri "${redirectUri:?}")
    if [ "$credential" = certificate ]; then
      printf 'The certificate is left as it is. Making or renewing it: docs/operations.md, Renew the certificate.\n'
    elif [ "$credential" != secret ]; then
      registration+=(--identity-principal "${identityPrincipalId:?}")
    elif [ -n "${POSTROOM_ADMINISTRATOR_ID:-}" ] && [ "$POSTROOM_ADMINISTRATOR_ID" = "$(caller_id)" ]; then
      registration+=(--vault "${vaultName:?}" --wait 300)
    else
      printf 'The client secret is left as it is. Storing or renewing it: docs/operations.md, Renew the client secret.\n'
    fi
    "$here/register-app.sh" "${registration[@]}" >/dev/null
    ;;
  postdeploy)
    printf 'Sign a mailbox in at %s\n' "${signInUrl:-}"
    printf "The key of the pages (keep it to yourself): az functionapp function keys list --resource-group '%s' --name '%s' --function-name open_session --query default --output tsv\n" \
      "${AZURE_RESOURCE_GROUP:-${resourceGroupName:-}}" "${functionAppName:-}"
    ;;
  *) die "infra/azd-hook.sh is run by azd" "use azd up, or infra/deploy.sh" ;;
esac
