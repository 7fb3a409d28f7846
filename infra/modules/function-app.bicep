// The app, on Flex Consumption: it sleeps when nothing is to be done, and each queue function scales by itself.
// The package is published afterwards (infra/deploy.sh); a template cannot.

@description('Required. Name of the app.')
@minLength(2)
@maxLength(32)
param name string

@description('Required. Name of the plan. Flex Consumption takes one app per plan.')
param planName string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. The app\'s identity.')
param identityName string

@description('Required. The storage account.')
param storageAccountName string

@description('Required. Container of the published package.')
param deploymentContainer string

@description('Required. The vault.')
param vaultName string

@description('Required. The Application Insights component.')
param appInsightsName string

@description('Optional. Subnet for outgoing calls, delegated to Microsoft.App/environments. Empty: none.')
param subnetId string = ''

@description('Required. POSTROOM_TENANT.')
param authorityTenant string

@description('Required. POSTROOM_CLIENT_ID. May be empty until the registration exists.')
param clientId string

@description('Required. POSTROOM_CREDENTIAL.')
@allowed([
  'managed-identity'
  'certificate'
  'secret'
])
param credential string

@description('Optional. POSTROOM_OPERATORS.')
param operators string = ''

@description('Optional. POSTROOM_ALLOWED_MAILBOXES.')
param allowedMailboxes string = ''

@description('Optional. Host name of a custom domain.')
param publicHost string = ''

@description('Optional. POSTROOM_MASK_LEDGER.')
param maskLedger bool = false

@description('Optional. More app settings, by name.')
param moreSettings object = {}

@description('Optional. Memory of an instance.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Optional. Most instances of each scaling group.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. HTTP calls that one instance works on at a time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('Optional. Instances for HTTP that never sleep.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int = 0

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource appInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: appInsightsName
}

var extraSettings = [for setting in items(moreSettings): {
  name: setting.key
  value: setting.value
}]

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225: zone redundancy needs two always-ready instances and is not offered in every region; mails wait in storage
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_17: callers are authenticated by function key, the administrator by session; client certificates would bar browsers and webhooks
  // checkov:skip=CKV_AZURE_78: Flex Consumption has no FTP, and siteConfig.ftpsState must not be set there; basic publishing is off below
  // checkov:skip=CKV_AZURE_212: Flex Consumption has no minimum instances; always-ready ones are a parameter, and cost all the time
  // checkov:skip=CKV_AZURE_213: Flex Consumption replaces broken instances by itself; alerts.bicep asks /api/health from outside
  // checkov:skip=CKV_AZURE_222: Microsoft's answer to a sign-in, webhooks and callers come from the Internet
  name: name
  location: location
  // azd finds the app by this tag (azure.yaml, services).
  tags: union(tags, { 'azd-service-name': 'postroom' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      runtime: {
        name: 'python'
        version: '3.13'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
        triggers: {
          http: {
            // Python's default is 1: sixteen callers at once would start sixteen instances. Postroom waits for
            // storage nearly all of the time, on 32 threads; 16 is what the platform gives other languages
            // at 2048 MB, and leaves memory for large bodies.
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      // Exactly what shared/settings.py reads and the platform needs (docs/settings.md); tests/infra compares.
      // Function keys stay in storage, which is the default: a container that nobody but the app's identity has
      // a role on (client.bicep gives roles on single queues and containers). In the vault, a deleted key's name
      // would stay taken for 90 days, since the host uses fixed names, and keys would lie among the grants.
      appSettings: concat([
        {
          name: 'AzureWebJobsStorage__blobServiceUri'
          value: storage.properties.primaryEndpoints.blob
        }
        {
          name: 'AzureWebJobsStorage__queueServiceUri'
          value: storage.properties.primaryEndpoints.queue
        }
        {
          name: 'AzureWebJobsStorage__tableServiceUri'
          value: storage.properties.primaryEndpoints.table
        }
        {
          name: 'AzureWebJobsStorage__credential'
          value: 'managedidentity'
        }
        {
          name: 'AzureWebJobsStorage__clientId'
          value: identity.properties.clientId
        }
        {
          name: 'AzureWebJobsDisableHomepage'
          value: 'true'
        }
        {
          name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
          value: appInsights.properties.ConnectionString
        }
        {
          name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
          value: 'ClientId=${identity.properties.clientId};Authorization=AAD'
        }
        {
          // One for each message of two batches, and connection pools are as wide: docs/settings.md.
          name: 'PYTHON_THREADPOOL_THREAD_COUNT'
          value: '32'
        }
        {
          name: 'POSTROOM_TENANT'
          value: authorityTenant
        }
        {
          name: 'POSTROOM_CLIENT_ID'
          value: clientId
        }
        {
          name: 'POSTROOM_CREDENTIAL'
          value: credential
        }
        {
          name: 'POSTROOM_VAULT_URL'
          value: vault.properties.vaultUri
        }
        {
          name: 'POSTROOM_IDENTITY_CLIENT_ID'
          value: identity.properties.clientId
        }
        {
          // Empty: made from the app's own host name.
          name: 'POSTROOM_REDIRECT_URI'
          value: empty(publicHost) ? '' : 'https://${publicHost}/api/auth/callback'
        }
        {
          name: 'POSTROOM_OPERATORS'
          value: operators
        }
        {
          name: 'POSTROOM_ALLOWED_MAILBOXES'
          value: allowedMailboxes
        }
        {
          name: 'POSTROOM_MASK_LEDGER'
          value: maskLedger ? 'true' : 'false'
        }
      ], extraSettings)
    }
  }
}

// Publishing takes Entra identities only.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('The app\'s own address.')
output url string = 'https://${app.properties.defaultHostName}'

@description('The address that callers and Microsoft use: the custom domain where there is one.')
output publicUrl string = 'https://${empty(publicHost) ? app.properties.defaultHostName : publicHost}'
