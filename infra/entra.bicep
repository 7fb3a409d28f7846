// The app registration, in the directory. Apart from main.bicep, because it is another right: the deployer needs
// to be Application Administrator (with grantAdminConsent: Privileged Role Administrator), and Contributor on a
// resource group, which the deployment is recorded in. Where the Microsoft
// Graph extension is not allowed, infra/register-app.sh does the same.
//
//   az deployment group create --resource-group <group> --template-file infra/entra.bicep \
//     --parameters postroomResourceGroupId=/subscriptions/<subscription id>/resourceGroups/<Postroom's group>
//
// then main.bicep with the clientId that this prints, then this once more, with these too
//
//   'redirectUris=["<output redirectUri>"]' identityPrincipalId=<output identityPrincipalId>
//
// Public cloud only: the extension knows no other. For personal accounts (signInAudience) take --credential secret and
// register-app.sh: that a federated credential is accepted on a registration for them is UNCONFIRMED.
extension microsoftGraphV1

@description('Required. Id of the resource group that Postroom is in, also when it is not there yet: /subscriptions/<id>/resourceGroups/<name>. Not the group of this deployment, which several Postrooms may share.')
@minLength(40)
param postroomResourceGroupId string

@description('Optional. The prefix of main.bicep: another Postroom in the same resource group has another registration.')
@minLength(1)
@maxLength(64)
param prefix string = 'postroom'

@description('Optional. What people see when they sign in.')
@maxLength(256)
param displayName string = 'Postroom (${prefix}, ${last(split(postroomResourceGroupId, '/'))}, ${take(split(postroomResourceGroupId, '/')[2], 8)})'

@description('Optional. The registration\'s key in the directory: the same name is the same registration, for ever. As it comes it follows from Postroom\'s group and prefix, so that no two Postrooms share one.')
@minLength(1)
@maxLength(100)
param uniqueName string = 'postroom-${uniqueString(toLower(postroomResourceGroupId), toLower(prefix))}'

@description('Conditional. Output redirectUri of main.bicep; with a custom domain, its own. These and no others: give all of them. Empty at first, when the app is not there yet; empty later leaves those that are registered.')
param redirectUris array = []

@description('Optional. Object id of Postroom\'s managed identity (output identityPrincipalId): becomes the registration\'s credential, so that there is no secret. Empty: with credential secret.')
@maxLength(36)
param identityPrincipalId string = ''

@description('Optional. Whose mailboxes: this directory\'s, any organisation\'s, personal accounts too, or personal accounts alone. authorityTenant of main.bicep must fit: a tenant id, organizations, common, consumers.')
@allowed([
  'AzureADMyOrg'
  'AzureADMultipleOrgs'
  'AzureADandPersonalMicrosoftAccount'
  'PersonalMicrosoftAccount'
])
param signInAudience string = 'AzureADMyOrg'

@description('Optional. More than sending. Mail.ReadWrite: large attachments, and looking up what became of a mail; new tenants let only an administrator consent to it. The .Shared ones: other people\'s mailboxes that the signed-in account has rights on.')
@allowed([
  'Mail.ReadWrite'
  'Mail.Send.Shared'
  'Mail.ReadWrite.Shared'
])
param extraScopes array = []

@description('Optional. Consent for everybody in this directory now, so that nobody is asked.')
param grantAdminConsent bool = false

@description('Optional. Only the principals below may sign a mailbox in.')
param assignmentRequired bool = false

@description('Conditional. With assignmentRequired: object ids of users and groups.')
param allowedPrincipalIds array = []

// Ids of Microsoft Graph's delegated permissions, the same in every directory.
// https://learn.microsoft.com/graph/permissions-reference
var scopeIds = {
  openid: '37f7f235-527c-4136-accd-4a02d197296e'
  profile: '14dad69e-099b-42c9-810b-d002981feec1'
  email: '64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0'
  offline_access: '7427e0e9-2fba-42fe-b0c0-848c9e6a8182'
  'User.Read': 'e1fe6dd8-ba31-4d61-89e7-88639da4683d'
  'Mail.Send': 'e383f46e-2787-4529-855e-0e479a3ffac0'
  'Mail.ReadWrite': '024d486e-b451-40bb-833d-3e66d98c5c73'
  'Mail.Send.Shared': 'a367ab51-6b49-43bf-a716-a1fb06d2a174'
  'Mail.ReadWrite.Shared': '5df07973-7d5d-46ed-9847-1271055cbd51'
}
var graphAppId = '00000003-0000-0000-c000-000000000000'

var scopes = union([
  'openid'
  'profile'
  'email'
  'offline_access'
  'User.Read'
  'Mail.Send'
], extraScopes)

var permissions = [for scope in scopes: {
  id: scopeIds[scope]
  type: 'Scope'
}]

var noImplicitGrant = {
  implicitGrantSettings: {
    enableAccessTokenIssuance: false
    enableIdTokenIssuance: false
  }
}
// An empty list would remove those that are registered, and end every sign-in with AADSTS50011; what is left out stays.
// UNCONFIRMED for the extension: it is so where Microsoft Graph updates an application.
var givenUris = {
  redirectUris: redirectUris
}
var web = empty(redirectUris) ? noImplicitGrant : union(noImplicitGrant, givenUris)

resource app 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: signInAudience
  api: {
    // Personal accounts ask for it, and the others lose nothing.
    requestedAccessTokenVersion: 2
  }
  // Platform Web: a single-page platform would get refresh tokens of one day, and takes no credential.
  web: web
  requiredResourceAccess: [
    {
      resourceAppId: graphAppId
      resourceAccess: permissions
    }
  ]
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: app.appId
  appRoleAssignmentRequired: assignmentRequired
}

// A token of the managed identity stands in for the client secret. Issuer, subject and audience are compared letter by
// letter, and only when somebody signs in. Named after its identity, as register-app.sh does: the credential of an
// identity that is gone stays until somebody deletes it.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
resource identityCredential 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = if (!empty(identityPrincipalId)) {
  name: '${app.uniqueName}/postroom-${identityPrincipalId}'
  description: 'Postroom\'s managed identity'
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: identityPrincipalId
  audiences: [
    'api://AzureADTokenExchange'
  ]
}

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: graphAppId
}

resource consent 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = if (grantAdminConsent) {
  clientId: servicePrincipal.id
  resourceId: graph.id
  consentType: 'AllPrincipals'
  scope: join(scopes, ' ')
}

var assigned = assignmentRequired ? allowedPrincipalIds : []

resource assignments 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [for principalId in assigned: {
  // The registration has no roles of its own: this id says "may use it".
  appRoleId: '00000000-0000-0000-0000-000000000000'
  principalId: principalId
  resourceId: servicePrincipal.id
}]

@description('clientId of main.bicep.')
output clientId string = app.appId

@description('The directory: authorityTenant of main.bicep, for signInAudience AzureADMyOrg.')
output tenantId string = tenant().tenantId
