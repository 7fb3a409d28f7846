// A message when the month costs more than planned. It stops nothing.

@description('Required. Name of the budget.')
param name string

@description('Required. Amount a month, in the subscription\'s currency.')
@minValue(1)
param amount int

@description('Required. First day of the month it begins in, yyyy-MM-01. Given, not computed: it cannot be changed afterwards.')
param startDate string

@description('Required. Who gets the message.')
param email string

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      nearly: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [
          email
        ]
      }
      expected: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [
          email
        ]
      }
    }
  }
}
