// The one identity of the app. User-assigned: its roles can stand before the app does, it outlives the app,
// and only such an identity can be a federated credential of an app registration.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity

@description('Required. Name of the identity.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Object id: what roles are given to, and the subject of the federated credential.')
output principalId string = identity.properties.principalId

@description('Client id: which identity code asks tokens for.')
output clientId string = identity.properties.clientId
