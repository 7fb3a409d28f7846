// An alert 30 days before postroom-client-secret or postroom-client-certificate expires, and when it has. Key Vault
// says so by itself; of a secret, if it was stored with its expiry date: az keyvault secret set --expires.
// https://learn.microsoft.com/azure/key-vault/general/event-grid-overview
//
// UNCONFIRMED here: Event Grid's handler "Azure Monitor alert" for Key Vault in every region. A module of its own,
// so that it can be left out.

@description('Required. Name of the system topic. A vault can have one only.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. The vault.')
param vaultName string

@description('Required. Who is told.')
param actionGroupName string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' existing = {
  name: actionGroupName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'client-secret-expires'
  properties: {
    // The only schema that this handler takes.
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
        'Microsoft.KeyVault.CertificateNearExpiry'
        'Microsoft.KeyVault.CertificateExpired'
      ]
      subjectBeginsWith: 'postroom-client-'
    }
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        description: 'Postroom\'s client secret or certificate expires within 30 days, or has expired: then no mailbox can send. Renew it: docs/operations.md.'
        actionGroups: [
          actionGroup.id
        ]
      }
    }
  }
}
