// Azure Monitor alerts that reach people through Postroom: an action group whose alerts become mails.
//
// An action group cannot post a mail by itself: it posts its own document, and it can put a key nowhere but into
// the URL. So a small workflow stands between. It reads the function key from the vault when an alert comes, with
// its own identity, and posts one mail to the send endpoint with the key in a header. The key is in no template,
// no deployment history and no run history, and can be renewed without a deployment.
//
// Before, store a key of the function send (it can send, and read nothing) in Postroom's vault. You need Website
// Contributor on the app and Key Vault Secrets Officer on the vault. By a file, so that the key is in no shell history
// and on no screen:
//
//   umask 077; key="$(mktemp)"
//   az functionapp function keys set --resource-group rg-postroom --name <functionAppName> \
//     --function-name send --key-name monitor --query value --output tsv | tr -d '\r\n' >"$key"
//   az keyvault secret set --vault-name <vaultName> --name postroom-caller-monitor --file "$key" --output none
//   rm "$key"
//
// Then deploy twice: the first time makes the workflow, the second the action group, which must know the
// workflow's signed URL. It goes in as a secure parameter, so it is in no template and no deployment history. It is
// no secret from those who look after the group, though: the action group shows it to everybody with Reader there.
// Whoever learns it can send that mail, with words of his own, to those recipients, and nothing else. The deployer
// needs Contributor and Role Based Access Control Administrator on the group.
//
//   deploy() { az deployment group create --resource-group rg-postroom --template-file monitor-action-group.bicep \
//     --parameters vaultName=<output vaultName> sendUrl=<output sendUrl> recipients='["oncall@contoso.com"]' "$@"; }
//   workflow="$(deploy --query properties.outputs.workflowId.value --output tsv)"
//   deploy callbackUrl="$(az rest --method post --query value --output tsv \
//     --url "$workflow/triggers/alert/listCallbackUrl?api-version=2019-05-01")"
//
// Not for alerts about Postroom itself: those must not depend on it (alertEmail of main.bicep). Not with network
// private, unless the vault admits the workflow's outgoing addresses.

@description('Optional. Name of the workflow and the action group.')
@minLength(1)
@maxLength(80)
param name string = 'alerts-by-postroom'

@description('Optional. Region.')
param location string = resourceGroup().location

@description('Required. Output vaultName of Postroom\'s deployment.')
param vaultName string

@description('Required. Output sendUrl of Postroom\'s deployment.')
param sendUrl string

@description('Required. Who gets the mails: addresses.')
@minLength(1)
param recipients array

@description('Optional. Which account sends. Empty: the default one.')
param account string = ''

@description('Optional. Name of the secret that holds the function key.')
param keyName string = 'postroom-caller-monitor'

@description('Conditional. The workflow\'s signed URL, the second time. Without it there is no action group yet.')
@secure()
param callbackUrl string = ''

var secretsUserRoleId = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
var alert = 'triggerBody()?[\'data\']?[\'essentials\']'
var mail = {
  to: recipients
  subject: '[@{${alert}?[\'monitorCondition\']}] @{${alert}?[\'severity\']}: @{${alert}?[\'alertRule\']}'
  text: '@{${alert}?[\'description\']}\n\nRule: @{${alert}?[\'alertRule\']}\nCondition: @{${alert}?[\'monitorCondition\']}\nFired: @{${alert}?[\'firedDateTime\']}\nResource: @{join(${alert}?[\'alertTargetIDs\'], \', \')}\n'
  tags: [
    'azure-monitor'
  ]
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource functionKey 'Microsoft.KeyVault/vaults/secrets@2026-02-01' existing = {
  parent: vault
  name: keyName
}

resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: name
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: {
      '$schema': 'https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#'
      contentVersion: '1.0.0.0'
      triggers: {
        alert: {
          type: 'Request'
          kind: 'Http'
          inputs: {
            schema: {}
          }
        }
      }
      actions: {
        Read_key: {
          type: 'Http'
          inputs: {
            method: 'GET'
            uri: '${vault.properties.vaultUri}secrets/${keyName}?api-version=7.6'
            authentication: {
              type: 'ManagedServiceIdentity'
              audience: 'https://${substring(environment().suffixes.keyvaultDns, 1)}'
            }
          }
          runAfter: {}
          runtimeConfiguration: {
            secureData: {
              properties: [
                'inputs'
                'outputs'
              ]
            }
          }
        }
        Send: {
          type: 'Http'
          inputs: {
            method: 'POST'
            uri: sendUrl
            headers: {
              'Content-Type': 'application/json'
              'x-functions-key': '@{body(\'Read_key\')?[\'value\']}'
              // The workflow repeats what got no answer; one alert is one mail all the same.
              'Idempotency-Key': '@{last(split(${alert}?[\'alertId\'], \'/\'))}-@{${alert}?[\'monitorCondition\']}'
            }
            body: empty(account) ? mail : union(mail, { account: account })
          }
          runAfter: {
            Read_key: [
              'Succeeded'
            ]
          }
          runtimeConfiguration: {
            secureData: {
              properties: [
                'inputs'
              ]
            }
          }
        }
      }
    }
  }
}

// This one secret, and reading alone.
resource keyReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: functionKey
  name: guid(functionKey.id, workflow.id, secretsUserRoleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUserRoleId)
    principalId: workflow.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(callbackUrl)) {
  name: name
  location: 'global'
  properties: {
    groupShortName: 'postroom'
    enabled: true
    logicAppReceivers: [
      {
        name: 'postroom'
        resourceId: workflow.id
        callbackUrl: callbackUrl
        useCommonAlertSchema: true
      }
    ]
  }
}

@description('For listCallbackUrl.')
output workflowId string = workflow.id

@description('Put it into the actions of any alert rule.')
output actionGroupId string = actionGroup.id
