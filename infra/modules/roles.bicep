// Every role of this deployment, in one place. An assignment's name is computed from what it says, so a
// second deployment finds it and changes nothing.
//
// The storage account holds nothing but Postroom's, so its roles are given on the account.

@description('Required. Object id of the app\'s identity.')
param identityPrincipalId string

@description('Optional. Object id of who looks after the vault.')
param administratorId string = ''

@description('Optional. What administratorId is.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param administratorType string = 'User'

@description('Required. The storage account.')
param storageAccountName string

@description('Required. The vault.')
param vaultName string

@description('Required. The Application Insights component.')
param appInsightsName string

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var roleIds = {
  'Key Vault Secrets Officer': 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

var storageRoles = [
  // The host: timers' leases, function keys, and the package. Payloads and attachments too.
  'Storage Blob Data Owner'
  // Listening, ringing, and moving what fails to outbox-poison, which reading and sending alone do not cover.
  'Storage Queue Data Contributor'
  // The ledger; the host's own diagnostic events.
  'Storage Table Data Contributor'
]

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource appInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: appInsightsName
}

resource storageAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in storageRoles: {
  scope: storage
  name: guid(storage.id, identityPrincipalId, roleIds[role])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[role])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}]

// Postroom gets and sets secrets, lists versions, disables and deletes them when a mailbox is disconnected, and
// recovers a deleted one (shared/adapters/key_vault/secrets.py). All that Officer adds is purge, which purge protection
// forbids to everybody, and backup and restore. A role of our own without those three would need a deployer who
// may define roles in the tenant.
resource vaultAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, identityPrincipalId, roleIds['Key Vault Secrets Officer'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Key Vault Secrets Officer'])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// Sending telemetry, logs included, where local authentication is off.
resource telemetryAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: appInsights
  name: guid(appInsights.id, identityPrincipalId, roleIds['Monitoring Metrics Publisher'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Monitoring Metrics Publisher'])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// Owner of a subscription is not enough to write a secret: that is a right of its own.
resource administratorAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(administratorId)) {
  scope: vault
  name: guid(vault.id, administratorId, roleIds['Key Vault Secrets Officer'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Key Vault Secrets Officer'])
    principalId: administratorId
    principalType: administratorType
  }
}
