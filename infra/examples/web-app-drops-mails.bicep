// A web application that sends mail by dropping it on Postroom's queue: no key, no secret, no SDK of ours.
// Its identity may add messages and nothing else; with attachments=true also read, replace and delete every
// application's files in Postroom's container attachments, so give it to applications that may see each other's.
//
//   az deployment group create --resource-group rg-shop --template-file web-app-drops-mails.bicep \
//     --parameters name=shop-contoso postroomResourceGroup=rg-postroom postroomStorageAccount=<output storageAccountName>
//
// In the application, in Python:
//
//   queue = QueueClient.from_queue_url(os.environ['POSTROOM_QUEUE_URL'],
//                                      ManagedIdentityCredential(client_id=os.environ['AZURE_CLIENT_ID']))
//   queue.send_message(json.dumps({'to': ['ada@example.com'], 'subject': 'Hello', 'text': 'From the shop'}))

@description('Required. Name of the web app, unique in Azure.')
@minLength(2)
@maxLength(60)
param name string

@description('Optional. Region.')
param location string = resourceGroup().location

@description('Required. The resource group that Postroom is in.')
param postroomResourceGroup string

@description('Required. Output storageAccountName of Postroom\'s deployment.')
param postroomStorageAccount string

@description('Optional. Also files: the right to read, write and delete in the container attachments, whoever put them there.')
param attachments bool = false

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${name}'
  location: location
}

module postroom '../modules/client.bicep' = {
  name: take('postroom-client-${name}', 64)
  scope: resourceGroup(postroomResourceGroup)
  params: {
    storageAccountName: postroomStorageAccount
    principalId: identity.properties.principalId
    attachments: attachments
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225: an example, at the lowest price
  name: take('plan-${name}', 60)
  location: location
  kind: 'linux'
  sku: {
    name: 'B1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_17: an example; browsers have no client certificates
  // checkov:skip=CKV_AZURE_212: an example, at the lowest price
  // checkov:skip=CKV_AZURE_213: an example; the application decides what its health is
  // checkov:skip=CKV_AZURE_222: an example of a public web application
  name: name
  location: location
  kind: 'app,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: {
      linuxFxVersion: 'PYTHON|3.13'
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      appSettings: [
        {
          name: 'AZURE_CLIENT_ID'
          value: identity.properties.clientId
        }
        {
          name: 'POSTROOM_QUEUE_URL'
          value: postroom.outputs.queueUrl
        }
        {
          name: 'POSTROOM_ATTACHMENTS_URL'
          value: postroom.outputs.attachmentsUrl
        }
      ]
    }
  }
}

@description('The web app.')
output url string = 'https://${app.properties.defaultHostName}'
