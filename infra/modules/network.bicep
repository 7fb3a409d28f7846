// The private network: the app reaches storage and vault through private endpoints, by names that resolve to
// them. Everything else (Entra, Graph, Application Insights) it reaches on the Internet as before.
//
// UNCONFIRMED: outgoing Internet access from a subnet delegated to Flex Consumption is the platform's, with no
// NAT gateway of ours, as in Microsoft's samples. Where a policy asks for one: natGatewayId.

@description('Required. Name of the virtual network.')
param virtualNetworkName string

@description('Required. First part of the private endpoints\' names.')
param privateEndpointName string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Address space.')
param addressPrefix string = '10.83.0.0/24'

@description('Optional. The part the app calls out from, /27 or larger: an address for each instance, and some for the platform.')
param appSubnetPrefix string = '10.83.0.0/25'

@description('Optional. The part the private endpoints are in, /28 or larger.')
param endpointSubnetPrefix string = '10.83.0.128/28'

@description('Optional. Id of a NAT gateway for what the app calls out to.')
param natGatewayId string = ''

@description('Optional. Id of a network security group for both subnets.')
param networkSecurityGroupId string = ''

@description('Required. The storage account.')
param storageAccountName string

@description('Required. The vault.')
param vaultName string

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

// Zone names: https://learn.microsoft.com/azure/private-link/private-endpoint-dns
// The vault's is not among environment().suffixes.
var endpoints = [
  {
    group: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
    target: storage.id
  }
  {
    group: 'queue'
    zone: 'privatelink.queue.${environment().suffixes.storage}'
    target: storage.id
  }
  {
    group: 'table'
    zone: 'privatelink.table.${environment().suffixes.storage}'
    target: storage.id
  }
  {
    group: 'vault'
    zone: 'privatelink.vaultcore.azure.net'
    target: vault.id
  }
]

resource virtualNetwork 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: virtualNetworkName
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
  }
}

// Apart from the network, which is written without its subnets: written with them, each deployment would take away
// subnets that others have added. What is attached to these two belongs into the parameters, for the same reason.
resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' = {
  parent: virtualNetwork
  name: 'app'
  properties: {
    addressPrefix: appSubnetPrefix
    delegations: [
      {
        name: 'flex-consumption'
        properties: {
          serviceName: 'Microsoft.App/environments'
        }
      }
    ]
    natGateway: empty(natGatewayId) ? null : {
      id: natGatewayId
    }
    networkSecurityGroup: empty(networkSecurityGroupId) ? null : {
      id: networkSecurityGroupId
    }
  }
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' = {
  parent: virtualNetwork
  name: 'private-endpoints'
  properties: {
    addressPrefix: endpointSubnetPrefix
    defaultOutboundAccess: false
    privateEndpointNetworkPolicies: 'Enabled'
    networkSecurityGroup: empty(networkSecurityGroupId) ? null : {
      id: networkSecurityGroupId
    }
  }
  // A network takes one change at a time.
  dependsOn: [
    appSubnet
  ]
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for endpoint in endpoints: {
  name: endpoint.zone
  location: 'global'
  tags: tags
}]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (endpoint, i) in endpoints: {
  parent: zones[i]
  name: virtualNetworkName
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: virtualNetwork.id
    }
  }
}]

// One after the other: three of them change the same storage account.
@batchSize(1)
resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-07-01' = [for endpoint in endpoints: {
  name: '${privateEndpointName}-${endpoint.group}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: endpointSubnet.id
    }
    privateLinkServiceConnections: [
      {
        name: endpoint.group
        properties: {
          privateLinkServiceId: endpoint.target
          groupIds: [
            endpoint.group
          ]
        }
      }
    ]
  }
}]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [for (endpoint, i) in endpoints: {
  parent: privateEndpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: endpoint.group
        properties: {
          privateDnsZoneId: zones[i].id
        }
      }
    ]
  }
}]

@description('The subnet that the app calls out from.')
output appSubnetId string = appSubnet.id

@description('The virtual network, to peer other networks with.')
output virtualNetworkId string = virtualNetwork.id
