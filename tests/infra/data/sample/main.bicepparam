using 'main.bicep'

param prefix = readEnvironmentVariable('PREFIX', 'sample')
param keep = false
