#!/usr/bin/env bash
# What `azd up` runs around provisioning (azure.yaml): the app registration before, its redirect URI
# and credential after, the next step at the end. azd gives its environment as variables, and the
# outputs of infra/main.bicep under their names.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

die() {
  printf 'error: %s\n' "$1" >&2
  printf '       %s\n' "$2" >&2
  exit 1
}

credential="${POSTROOM_CREDENTIAL:-managed-identity}"
name="${POSTROOM_REGISTRATION_NAME:-Postroom (${AZURE_ENV_NAME:-azd})}"
case "${POSTROOM_TENANT:-}" in
  organizations | common | consumers) accounts="$POSTROOM_TENANT" ;;
  *) accounts='tenant' ;;
esac

case "${1:-}" in
  preprovision)
    command -v az >/dev/null 2>&1 ||
      die "the Azure CLI (az) is missing" "install it, or make the registration yourself: azd env set POSTROOM_CLIENT_ID <id>"
    if [ -z "${POSTROOM_CLIENT_ID:-}" ]; then
      client_id="$("$here/register-app.sh" --name "$name" --accounts "$accounts")"
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
      printf 'Put this redirect URI into the app registration: %s\n' "${redirectUri:-}"
      exit 0
    fi
    registration=(--client-id "${POSTROOM_CLIENT_ID:?}" --accounts "$accounts" --redirect-uri "${redirectUri:?}")
    if [ "$credential" = secret ]; then
      registration+=(--vault "${vaultName:?}" --wait 300)
    else
      registration+=(--identity-principal "${identityPrincipalId:?}")
    fi
    "$here/register-app.sh" "${registration[@]}" >/dev/null
    ;;
  postdeploy)
    printf 'Sign a mailbox in at %s\n' "${signInUrl:-}"
    printf 'The function key: az functionapp keys list --resource-group <group> --name %s --query functionKeys.default --output tsv\n' \
      "${functionAppName:-}"
    ;;
  *) die "infra/azd-hook.sh is run by azd" "use azd up, or infra/deploy.sh" ;;
esac
