// Waits until Postroom answers, and prints what the app registration must hold: for pipelines that go on with the
// registration or with callers. Deploy it after main.bicep and the package.
//
//   az deployment group create --resource-group rg-postroom --template-file wait-for-health.bicep \
//     --parameters appUrl=https://<output functionAppName>.azurewebsites.net
//
// With a custom domain, the domain (publicHost of main.bicep): the redirect URI follows from it. Container and output
// are kept for an hour after they are done; who reads deployments sees the output.
//
// A deployment script runs in a container with a storage account of its own that the platform makes for it, with
// keys, and removes; where a policy forbids storage keys, ask /api/health from the pipeline instead.

@description('Required. Address of the app, without a path.')
param appUrl string

@description('Optional. Region.')
param location string = resourceGroup().location

@description('Optional. Minutes to wait.')
@minValue(1)
@maxValue(60)
param minutes int = 20

@description('Optional. Give another value to wait again; with the same one a second deployment changes nothing.')
param tag string = '1'

resource wait 'Microsoft.Resources/deploymentScripts@2023-08-01' = {
  name: 'wait-for-postroom'
  location: location
  kind: 'AzureCLI'
  properties: {
    azCliVersion: '2.63.0'
    forceUpdateTag: tag
    timeout: 'PT${minutes + 5}M'
    retentionInterval: 'PT1H'
    cleanupPreference: 'Always'
    environmentVariables: [
      {
        name: 'APP_URL'
        value: appUrl
      }
      {
        name: 'TRIES'
        value: string(minutes * 6)
      }
    ]
    // `az rest` is the one HTTP client that is surely in this image. No token is sent: health is open to all.
    scriptContent: '''
      set -euo pipefail
      for try in $(seq "$TRIES"); do
        if az rest --method get --skip-authorization-header --url "$APP_URL/api/health" --output none 2>error.txt; then
          redirect_uri="$APP_URL/api/auth/callback"
          echo "Postroom answers. Redirect URI: $redirect_uri"
          printf '{"redirectUri":"%s"}' "$redirect_uri" > "$AZ_SCRIPTS_OUTPUT_PATH"
          exit 0
        fi
        sleep 10
      done
      echo "Postroom did not answer 200 at $APP_URL/api/health. The last error:" >&2
      cat error.txt >&2
      exit 1
    '''
  }
}

@description('What the app registration must hold, as platform Web.')
output redirectUri string = wait.properties.outputs.redirectUri
