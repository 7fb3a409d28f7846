// For the Bicep of other applications: gives an application's identity the right to drop mails on the queue, and no
// other: it cannot read the queue, nor mails, nor keys. What that right holds: the application can send as every
// mailbox that is signed in, to anybody; send any file of the container attachments by naming it; and use up
// idempotency keys that others have. Give it to applications that are trusted with all mailboxes.
//
// With attachments: true it also reads, replaces and deletes every application's files in the container attachments.
//
//   module postroom 'client.bicep' = {
//     name: 'postroom-client'
//     scope: resourceGroup('rg-postroom')   // the group that Postroom is in
//     params: {
//       storageAccountName: 'stpostroom…'   // output storageAccountName of main.bicep
//       principalId: identity.properties.principalId
//     }
//   }
//
// The deployer needs in Postroom's group Microsoft.Resources/deployments/write (Contributor has it), and Role Based
// Access Control Administrator, which may be given with a condition that admits only the two roles below. Otherwise
// whoever has that runs one line, and this module is not needed:
//
//   az role assignment create --role "Storage Queue Data Message Sender" --assignee-principal-type ServicePrincipal \
//     --assignee-object-id <principal id> --scope <id of the storage account>/queueServices/default/queues/outbox

@description('Required. Postroom\'s storage account.')
param storageAccountName string

@description('Required. Object id of the application\'s identity.')
param principalId string

@description('Optional. What it is. Saying so lets the role be given before a new identity is known everywhere.')
@allowed([
  'ServicePrincipal'
  'User'
  'Group'
])
param principalType string = 'ServicePrincipal'

@description('Optional. Also the right to read, write and delete in the container attachments, whoever put the files there.')
param attachments bool = false

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var roleIds = {
  'Storage Queue Data Message Sender': 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
}

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource outbox 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' existing = {
  parent: queueService
  name: 'outbox'
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource attachmentsContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' existing = {
  parent: blobs
  name: 'attachments'
}

resource sender 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: outbox
  name: guid(outbox.id, principalId, roleIds['Storage Queue Data Message Sender'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Storage Queue Data Message Sender'])
    principalId: principalId
    principalType: principalType
  }
}

resource uploader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (attachments) {
  scope: attachmentsContainer
  name: guid(attachmentsContainer.id, principalId, roleIds['Storage Blob Data Contributor'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Storage Blob Data Contributor'])
    principalId: principalId
    principalType: principalType
  }
}

@description('The queue: a QueueClient is built from this and the application\'s identity. A message is one mail as JSON, plain or in base64, of 64 KiB at most.')
output queueUrl string = '${account.properties.primaryEndpoints.queue}${outbox.name}'

@description('The queue\'s name, for SDKs that take it apart from the service.')
output queueName string = outbox.name

@description('The queue service, for the same.')
output queueServiceUrl string = account.properties.primaryEndpoints.queue

@description('The container for attachments; a mail names a blob in it as attachments/<name>.')
output attachmentsUrl string = '${account.properties.primaryEndpoints.blob}${attachmentsContainer.name}'
