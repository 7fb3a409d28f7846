// Where the secrets are, and nowhere else: the client secret (if there is one), the session key, the grants.
// No secret is written by a template.

@description('Required. Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Who can reach the vault: public or private.')
@allowed([
  'public'
  'private'
])
param network string = 'public'

@description('Optional. With private: addresses that reach it all the same.')
param allowedIpRanges array = []

@description('Required. Log Analytics workspace for the audit log.')
param workspaceName string

@description('Optional. Forbid deletion.')
param deleteLock bool = false

var ipRules = [for range in allowedIpRanges: {
  value: range
}]

// 2026-02-01: the versions before it are retired in February 2027.
// https://learn.microsoft.com/azure/key-vault/general/access-control-default
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  // checkov:skip=CKV_AZURE_109: a parameter; network private denies by default. With public every call still needs an Entra identity with a role
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    // A deleted vault or secret can be brought back for 90 days, and not even an administrator can shorten
    // that. Neither can be switched off again, so the name stays taken for 90 days after the vault is gone.
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: network == 'public' || !empty(allowedIpRanges) ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: network == 'public' ? 'Allow' : 'Deny'
      ipRules: network == 'public' ? [] : ipRules
    }
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

// Who read which secret, when. Names and identities, no values.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  scope: vault
  name: 'keep-postroom-secrets'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds Postroom\'s grants: without them every mailbox is signed in anew.'
  }
}
