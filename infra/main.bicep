// All of Postroom, in one resource group. docs/deploy.md says how; README.md here says what is where.
targetScope = 'resourceGroup'

metadata name = 'Postroom'
metadata description = 'Outgoing mail through Microsoft Graph: function app, storage, key vault, identity, monitoring.'

@description('Optional. First part of every name. Any text will do: what names cannot hold is left out, and only the first eight letters or digits count.')
@minLength(1)
@maxLength(64)
param prefix string = 'postroom'

@description('Optional. Region. Must offer Flex Consumption: az functionapp list-flexconsumption-locations.')
param location string = resourceGroup().location

@description('Optional. Tags of every resource.')
param tags object = {}

@description('Conditional. Application (client) id of the app registration. Needed before anybody can sign in; until then the app answers 503 and says so. entra.bicep makes the registration.')
@maxLength(36)
param clientId string = ''

@description('Optional. Where mailboxes sign in: a tenant id, a verified domain, organizations, consumers or common. Empty: the directory of this subscription.')
param authorityTenant string = ''

@description('Optional. How the app proves who it is to Entra: its managed identity as a federated credential of the registration, with no secret at all; the certificate postroom-client-certificate in the vault; or the client secret postroom-client-secret there.')
@allowed([
  'managed-identity'
  'certificate'
  'secret'
])
param credential string = 'managed-identity'

@description('Optional. Which mailboxes may be signed in: addresses, domains and tenant ids, separated by spaces or commas. Empty admits every one that the directory lets in. With authorityTenant common or organizations an address or domain is no proof of whose mailbox it is: any directory can claim it. Give tenant ids there.')
param allowedMailboxes string = ''

@description('Optional. Whom Postroom itself writes to, from a mailbox that works, when an account breaks or is well again and before the client secret or certificate expires: addresses, separated by spaces or commas. Empty: nobody.')
param operators string = ''

@description('Optional. Host name of a custom domain, e.g. mail.contoso.com, once it is bound to the app. The redirect URI follows it. Empty: the app\'s own host name.')
param publicHost string = ''

@description('Optional. Keep no subject and no whole recipient address in what lists show.')
param maskLedger bool = false

@description('Optional. More of Postroom\'s settings (docs/settings.md), by name, e.g. { POSTROOM_MAX_ATTEMPTS: \'20\' }. Not those that this template sets.')
param moreSettings object = {}

@description('Optional. Memory of an instance. 2048 is one core.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Optional. Most instances of each scaling group. Bounds what a flood can cost; Graph takes four requests at a time per mailbox, so more instances hardly send faster. Some regions still ask for 40 or more.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. HTTP calls that one instance works on at a time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('Optional. Instances for HTTP that never sleep. Each is billed all the time; 0 accepts a cold start after idle minutes.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int = 0

@description('Optional. Copies of what is stored. LRS: three in one building, in every region. ZRS: in three buildings. GRS, GZRS: also in the paired region.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param storageSku string = 'Standard_LRS'

@description('Optional. public: storage and vault answer the Internet, to Entra identities with a role only. private: they answer through private endpoints in a virtual network of this deployment; the app itself stays reachable for callers and for Microsoft\'s answer to a sign-in.')
@allowed([
  'public'
  'private'
])
param network string = 'public'

@description('Optional. With network private: addresses or ranges (CIDR) that reach storage and vault from outside all the same, such as an administrator\'s.')
param allowedIpRanges array = []

@description('Optional. With network private: address space of the virtual network. Change the three together.')
param addressPrefix string = '10.83.0.0/24'

@description('Optional. With network private: the subnet the app calls out from, /27 or larger.')
param appSubnetPrefix string = '10.83.0.0/25'

@description('Optional. With network private: the subnet of the private endpoints, /28 or larger.')
param endpointSubnetPrefix string = '10.83.0.128/28'

@description('Optional. With network private: id of a NAT gateway for what the app calls out to. Attached by hand, the next deployment takes it away.')
param natGatewayId string = ''

@description('Optional. With network private: id of a network security group for both subnets. Attached by hand, the next deployment takes it away.')
param networkSecurityGroupId string = ''

@description('Optional. Who gets alerts by e-mail. Empty: alerts show in the portal only.')
param alertEmail string = ''

@description('Optional. Ask /api/health from outside every 15 minutes.')
param availabilityTest bool = true

@description('Optional. Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Optional. Gigabytes of logs a day before logging stops until the next day, so that a loop cannot cost a fortune. -1: no limit.')
@minValue(-1)
param logDailyQuotaGb int = 1

@description('Optional. Object id of the person or group that looks after the vault (Key Vault Secrets Officer): who writes postroom-client-secret. Not needed with credential managed-identity. Leaving it out later takes nothing away: az role assignment delete does.')
@maxLength(36)
param administratorId string = ''

@description('Optional. What administratorId is.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param administratorType string = 'User'

@description('Optional. Monthly budget for this resource group in the subscription\'s currency, reported to alertEmail at 80 and 100 percent. 0: none.')
@minValue(0)
param budgetAmount int = 0

@description('Conditional. With a budget: first day of the month it begins in, yyyy-MM-01. Leave it as it is afterwards: a budget cannot move.')
param budgetStart string = ''

@description('Optional. Forbid that storage and vault are deleted. The deployer must be Owner, and removing everything begins with removing the locks.')
param deleteLocks bool = false

//
// The rules, the strictest in brackets: storage account 3-24 lower-case letters and digits [3-24, no hyphen];
// vault 3-24 letters, digits and single hyphens, begins with a letter; function app 2-60, and its first 32
// characters are its host id, so stay within 32; the others take 1-63 letters, digits and hyphens or more.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
//
// <type><stem><suffix>: a type that begins with a letter, the first eight letters and digits of the prefix
// (postroom where there are none), and 13 characters that are the same for the same resource group and prefix
// each time, and different for another. Longest without hyphens: 2 + 8 + 13 = 23; with: 5 + 8 + 1 + 13 = 27.
// A loop instead of map() and filter(), so that every offline parser can read it.

var lowerPrefix = toLower(prefix)
var letters = [for i in range(0, length(lowerPrefix)): contains('abcdefghijklmnopqrstuvwxyz0123456789', substring(lowerPrefix, i, 1)) ? substring(lowerPrefix, i, 1) : '']
var cleanPrefix = join(letters, '')
var stem = take(empty(cleanPrefix) ? 'postroom' : cleanPrefix, 8)
var suffix = uniqueString(resourceGroup().id, lowerPrefix)

var names = {
  identity: 'id-${stem}-${suffix}'
  storage: take('st${stem}${suffix}', 24)
  vault: take('kv${stem}${suffix}', 24)
  plan: 'plan-${stem}-${suffix}'
  functionApp: 'func-${stem}-${suffix}'
  workspace: 'log-${stem}-${suffix}'
  appInsights: 'appi-${stem}-${suffix}'
  actionGroup: 'ag-${stem}-${suffix}'
  alert: 'alert-${stem}-${suffix}'
  webTest: 'health-${stem}-${suffix}'
  secretEvents: 'evgt-${stem}-${suffix}'
  virtualNetwork: 'vnet-${stem}-${suffix}'
  privateEndpoint: 'pep-${stem}-${suffix}'
  budget: 'budget-${stem}-${suffix}'
}
var deploymentContainer = 'app-package'

//
// Modules get names, not each other's outputs, wherever a name decides which resource is meant: so
// `what-if` can say what will change before anything has run. Order is then said by dependsOn. Role
// assignments alone are named after an id that is known later.
// https://learn.microsoft.com/azure/azure-resource-manager/bicep/linter-rule-what-if-short-circuiting

module identity 'modules/identity.bicep' = {
  name: 'postroom-identity'
  params: {
    name: names.identity
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'postroom-storage'
  params: {
    name: names.storage
    location: location
    tags: tags
    sku: storageSku
    deploymentContainer: deploymentContainer
    network: network
    allowedIpRanges: allowedIpRanges
    deleteLock: deleteLocks
  }
}

module vault 'modules/key-vault.bicep' = {
  name: 'postroom-key-vault'
  params: {
    name: names.vault
    location: location
    tags: tags
    network: network
    allowedIpRanges: allowedIpRanges
    workspaceName: names.workspace
    deleteLock: deleteLocks
  }
  dependsOn: [
    monitoring
  ]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'postroom-monitoring'
  params: {
    workspaceName: names.workspace
    appInsightsName: names.appInsights
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
  }
}

module roles 'modules/roles.bicep' = {
  name: 'postroom-roles'
  params: {
    identityPrincipalId: identity.outputs.principalId
    administratorId: administratorId
    administratorType: administratorType
    storageAccountName: names.storage
    vaultName: names.vault
    appInsightsName: names.appInsights
  }
  dependsOn: [
    storage
    vault
    monitoring
  ]
}

module privateNetwork 'modules/network.bicep' = if (network == 'private') {
  name: 'postroom-network'
  params: {
    virtualNetworkName: names.virtualNetwork
    privateEndpointName: names.privateEndpoint
    location: location
    tags: tags
    addressPrefix: addressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    natGatewayId: natGatewayId
    networkSecurityGroupId: networkSecurityGroupId
    storageAccountName: names.storage
    vaultName: names.vault
  }
  dependsOn: [
    storage
    vault
  ]
}

module functionApp 'modules/function-app.bicep' = {
  name: 'postroom-function-app'
  params: {
    name: names.functionApp
    planName: names.plan
    location: location
    tags: tags
    identityName: names.identity
    storageAccountName: names.storage
    deploymentContainer: deploymentContainer
    vaultName: names.vault
    appInsightsName: names.appInsights
    subnetId: network == 'private' ? privateNetwork!.outputs.appSubnetId : ''
    authorityTenant: empty(authorityTenant) ? tenant().tenantId : authorityTenant
    clientId: clientId
    credential: credential
    operators: operators
    allowedMailboxes: allowedMailboxes
    publicHost: publicHost
    maskLedger: maskLedger
    moreSettings: moreSettings
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyInstances: alwaysReadyInstances
  }
  // The roles first: an app that starts without them fails until it is started again.
  dependsOn: [
    roles
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'postroom-alerts'
  params: {
    name: names.alert
    actionGroupName: names.actionGroup
    webTestName: names.webTest
    location: location
    tags: tags
    alertEmail: alertEmail
    appInsightsName: names.appInsights
    storageAccountName: names.storage
    healthUrl: '${functionApp.outputs.url}/api/health'
    availabilityTest: availabilityTest
  }
}

// With the managed identity nothing of the app's own expires.
module secretExpiry 'modules/secret-expiry.bicep' = if (credential != 'managed-identity' && !empty(alertEmail)) {
  name: 'postroom-secret-expiry'
  params: {
    name: names.secretEvents
    location: location
    tags: tags
    vaultName: names.vault
    actionGroupName: names.actionGroup
  }
  dependsOn: [
    alerts
    vault
  ]
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0 && !empty(budgetStart) && !empty(alertEmail)) {
  name: 'postroom-budget'
  params: {
    name: names.budget
    amount: budgetAmount
    startDate: budgetStart
    email: alertEmail
  }
}

@description('Where callers post mails.')
output sendUrl string = '${functionApp.outputs.publicUrl}/api/send'

@description('Where applications drop mails; modules/client.bicep gives them the right to.')
output queueUrl string = storage.outputs.queueUrl

@description('What the app registration must hold, as platform Web.')
output redirectUri string = '${functionApp.outputs.publicUrl}/api/auth/callback'

@description('Where the administrator signs mailboxes in.')
output signInUrl string = '${functionApp.outputs.publicUrl}/signin'

@description('The vault, for postroom-client-secret.')
output vaultName string = names.vault

@description('Client id of the managed identity.')
output identityClientId string = identity.outputs.clientId

@description('Object id of the managed identity: the subject of the federated credential.')
output identityPrincipalId string = identity.outputs.principalId

@description('This resource group.')
output resourceGroupName string = resourceGroup().name

@description('The function app.')
output functionAppName string = names.functionApp

@description('The storage account.')
output storageAccountName string = names.storage

@description('Where the published package lies.')
output deploymentContainer string = deploymentContainer
