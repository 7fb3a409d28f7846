// The ledger, the queue, and what the Functions host keeps. Everything the app uses is made here, so the app
// needs no right to create and no first call races for it. Names: shared/adapters/storage/clients.py.

@description('Required. Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Copies.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param sku string = 'Standard_LRS'

@description('Required. Container of the published package.')
param deploymentContainer string

@description('Optional. Who can reach the account: public or private.')
@allowed([
  'public'
  'private'
])
param network string = 'public'

@description('Optional. With private: addresses that reach it all the same.')
param allowedIpRanges array = []

@description('Optional. Forbid deletion.')
param deleteLock bool = false

var queues = [
  'outbox'
  'outbox-poison'
]
var tables = [
  'mails'
  'keys'
  'flows'
  'accounts'
  'waiting'
]
var containers = [
  'payloads'
  'attachments'
  deploymentContainer
]
var ipRules = [for range in allowedIpRanges: {
  action: 'Allow'
  value: range
}]

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  // checkov:skip=CKV_AZURE_35: a parameter; network private denies by default. With public every call still needs an Entra identity with a role
  // checkov:skip=CKV_AZURE_206: a parameter; LRS because zone redundancy is not offered in every region of Flex Consumption
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    // No keys, so no connection strings and no account SAS either: identities with roles alone.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: network == 'public' || !empty(allowedIpRanges) ? 'Enabled' : 'Disabled'
    networkAcls: {
      // Azure's own services that act for this account, with an identity and a role as everybody else.
      bypass: 'AzureServices'
      defaultAction: network == 'public' ? 'Allow' : 'Deny'
      ipRules: network == 'public' ? [] : ipRules
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    // Off on purpose: the content of a mail is deleted when it has been sent, and shall be gone then.
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [for container in containers: {
  parent: blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource storageQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [for queue in queues: {
  parent: queueService
  name: queue
}]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource storageTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-01-01' = [for table in tables: {
  parent: tableService
  name: table
}]

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  scope: account
  name: 'keep-postroom-ledger'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds Postroom\'s ledger: what was sent, and what still has to go.'
  }
}

@description('Where applications drop mails.')
output queueUrl string = '${account.properties.primaryEndpoints.queue}outbox'
