# shellcheck shell=bash
# Sourced by the scripts here: who runs them, and what Postroom is called in Entra.

# Object id of who is signed in to az, a person or a service principal. Empty where Entra does not tell.
caller_id() {
  if [ "$(caller_type)" = ServicePrincipal ]; then
    az ad sp show --id "$(az account show --query user.name --output tsv)" --query id --output tsv 2>/dev/null || true
  else
    az ad signed-in-user show --query id --output tsv 2>/dev/null || true
  fi
}

caller_type() {
  case "$(az account show --query user.type --output tsv 2>/dev/null || true)" in
    servicePrincipal) echo ServicePrincipal ;;
    *) echo User ;;
  esac
}

# Another for each prefix, resource group and subscription: two Postrooms do not share a registration.
registration_name() {
  printf 'Postroom (%s, %s%s)' "$1" "${2:+$2, }" "${3:0:8}"
}
