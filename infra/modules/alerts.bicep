// What should wake somebody, or open a ticket. The events are Postroom's own log lines: docs/operations.md says
// what each means and what to do.
//
// Log rules look at the last 30 minutes every 15, because logs arrive minutes late. An alert is raised once, stays
// while its events go on, and resolves itself when they have stopped.

@description('Required. First part of the alerts\' names.')
param name string

@description('Required. Name of the action group.')
param actionGroupName string

@description('Required. Name of the availability test.')
param webTestName string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Who gets alerts by e-mail. Empty: the portal only.')
param alertEmail string = ''

@description('Required. The Application Insights component.')
param appInsightsName string

@description('Required. The storage account.')
param storageAccountName string

@description('Required. What the availability test asks.')
param healthUrl string

@description('Optional. Ask it from outside.')
param availabilityTest bool = true

@description('Optional. From where: https://learn.microsoft.com/azure/azure-monitor/app/availability-standard-tests#location-population-tags. Each place is one more call every 15 minutes.')
@minLength(2)
param availabilityLocations array = [
  'emea-nl-ams-azr'
  'us-il-ch1-azr'
  'apac-sg-sin-azr'
]

@description('Optional. How many messages may wait in all queues together.')
@minValue(0)
param queueThreshold int = 1000

resource appInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: appInsightsName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

// One JSON line for each event (shared/telemetry.py).
var events = 'traces | extend event = extract(\'"event":"([a-z_]+)"\', 1, message)'

var logRules = [
  {
    name: 'mails'
    title: 'Postroom: a mail was not sent'
    description: 'mail_failed: it cannot be sent as it is. mail_unknown: it may have been sent, and a person has to look.'
    severity: 2
    threshold: 0
    query: '${events} | where event in ("mail_failed", "mail_unknown")'
  }
  {
    name: 'accounts'
    title: 'Postroom: an account cannot send'
    description: 'Its mails are held. account_needs_sign_in: sign it in again at /accounts. account_cannot_send: a limit, a refused credential (an expired client secret too) or a missing permission. account_trouble_found: a check of the account found something wrong.'
    severity: 1
    threshold: 0
    query: '${events} | where event in ("account_needs_sign_in", "account_cannot_send", "account_trouble_found")'
  }
  {
    name: 'expiry'
    title: 'Postroom: the app\'s credential expires'
    description: 'credential_expires: within 60, 30, 14, 7 or 1 days; renew it (docs/operations.md). credential_expired: no mailbox can send. credential_expiry_unknown: set the expiry date of the secret in the vault.'
    severity: 2
    threshold: 0
    query: '${events} | where event in ("credential_expires", "credential_expired", "credential_expiry_unknown")'
  }
  {
    name: 'poison'
    title: 'Postroom: the poison queue is in use'
    description: 'The host gave up on a message; where bury fails as well, it goes round in outbox-poison until the cause is mended.'
    severity: 1
    threshold: 0
    query: 'union (${events} | where event in ("mail_poisoned", "burial_put_off")), (requests | where name == "bury" and success == false)'
  }
  {
    name: 'bugs'
    title: 'Postroom: an internal error'
    description: 'Postroom has a bug. Report it. behind_the_watermark: a mail waited that no index led to; it goes now.'
    severity: 1
    threshold: 0
    query: '${events} | where event in ("internal_error", "behind_the_watermark")'
  }
  {
    name: 'dependencies'
    title: 'Postroom: a dependency fails'
    description: 'Calls were answered 503, or functions failed: storage, Key Vault, Entra or Graph. Ask /api/health/details.'
    severity: 2
    threshold: 5
    query: 'union (${events} | where event == "request_failed"), (requests | where name in ("deliver", "ring_again", "sweep", "watch") and success == false)'
  }
]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'postroom'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

var actionGroupIds = empty(alertEmail) ? [] : [
  actionGroup.id
]
var metricActions = [for id in actionGroupIds: {
  actionGroupId: id
}]

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [for rule in logRules: {
  name: '${name}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.title
    description: rule.description
    severity: rule.severity
    enabled: true
    scopes: [
      appInsights.id
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT30M'
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    // A component that has never had a log line yet may not know its tables.
    skipQueryValidation: true
    actions: {
      actionGroups: actionGroupIds
    }
  }
}]

// Storage counts all queues of the account together, once an hour; there is no metric for outbox-poison alone.
// https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-storage-storageaccounts-queueservices-metrics
resource queueAlert 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${name}-queue'
  location: 'global'
  tags: tags
  properties: {
    description: 'Many messages wait: is the function deliver running, and is outbox-poison empty?'
    severity: 2
    enabled: true
    scopes: [
      storage.id
    ]
    evaluationFrequency: 'PT1H'
    windowSize: 'PT1H'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'messages'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Storage/storageAccounts/queueServices'
          metricName: 'QueueMessageCount'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: queueThreshold
          skipMetricValidation: true
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
}

// The tag is how a test finds its component.
var linkToAppInsights = {
  'hidden-link:${appInsights.id}': 'Resource'
}
var testLocations = [for place in availabilityLocations: {
  Id: place
}]

// UNCONFIRMED: that results arrive where the component takes Entra identities only (DisableLocalAuth). If they
// do not, the alert below never fires; it raises no false alarm.
resource webTest 'Microsoft.Insights/webtests@2022-06-15' = if (availabilityTest) {
  name: webTestName
  location: location
  tags: union(tags, linkToAppInsights)
  kind: 'standard'
  properties: {
    Name: webTestName
    Description: 'Postroom answers, and its settings are sound.'
    SyntheticMonitorId: webTestName
    Kind: 'standard'
    Enabled: true
    // The longest there is: each call is billed, and wakes an app that sleeps.
    Frequency: 900
    // A cold start is no outage.
    Timeout: 60
    RetryEnabled: true
    Locations: testLocations
    Request: {
      RequestUrl: healthUrl
      HttpVerb: 'GET'
      FollowRedirects: false
      ParseDependentRequests: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
    }
  }
}

resource availabilityAlert 'Microsoft.Insights/metricAlerts@2026-01-01' = if (availabilityTest) {
  name: '${name}-health'
  location: 'global'
  tags: union(tags, linkToAppInsights)
  properties: {
    description: '/api/health did not answer 200 in at least two places: the app is down, or a setting is wrong.'
    severity: 1
    enabled: true
    scopes: [
      webTest.id
      appInsights.id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT30M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: webTest.id
      componentId: appInsights.id
      failedLocationCount: 2
    }
    autoMitigate: true
    actions: metricActions
  }
}
