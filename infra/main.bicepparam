// The parameters of main.bicep, from the environment: the same variables that infra/deploy.sh and azd set.
//   az deployment group what-if --resource-group <group> --parameters infra/main.bicepparam
using './main.bicep'

param prefix = readEnvironmentVariable('POSTROOM_PREFIX', 'postroom')
param location = readEnvironmentVariable('AZURE_LOCATION')
param clientId = readEnvironmentVariable('POSTROOM_CLIENT_ID', '')
param authorityTenant = readEnvironmentVariable('POSTROOM_TENANT', '')
param credential = readEnvironmentVariable('POSTROOM_CREDENTIAL', 'managed-identity')
param allowedMailboxes = readEnvironmentVariable('POSTROOM_ALLOWED_MAILBOXES', '')
param alertEmail = readEnvironmentVariable('POSTROOM_ALERT_EMAIL', '')
param network = readEnvironmentVariable('POSTROOM_NETWORK', 'public')
param tags = {
  application: 'postroom'
  'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'none')
}
