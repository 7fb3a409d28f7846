// For the tests of the reader: a little of everything.
targetScope = 'resourceGroup'

@description('Required. First part of names.')
@minLength(1)
param prefix string

@allowed([
  'a'
  'b'
])
param kind string = 'a'
param keep bool = true
param note string?

type sizes = {
  least: int
  most: int?
}

var stem = toLower(prefix)
var tags = { 'made-by': 'sample', ...(note == null ? {} : { note: note }) }

func label(text string) string => '${text}-label'

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: take('st${stem}', 24)
  location: resourceGroup().location
  tags: tags
  kind: kind == 'a' ? 'StorageV2' : 'BlobStorage'
  sku: { name: 'Standard_LRS' }
  resource queueService 'queueServices' = {
    name: 'default'
    resource queues 'queues' = [for name in ['one', 'two']: {
      name: name
    }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (keep) {
  scope: account
  name: 'keep'
  properties: { level: 'CanNotDelete', notes: label('kept') }
}

module identity 'identity.bicep' = {
  name: 'identity'
  params: {
    name: 'id-${stem}'
  }
}

output queueUrl string = '${account.properties.primaryEndpoints.queue}one'
output clientId string = identity.outputs.clientId
