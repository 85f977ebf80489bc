{{/* The configuration of an injected sidecar except its profiles: JSON text. The values' `settings` add to it. */}}
{{- define "config.settings" -}}
{{- $fixed := dict
  "configVersion" "1.0"
  "server" (dict "bind" "127.0.0.1:7117" "ops" "[::]:7118" "adminSocket" "/run/idaas-sidecar/admin.sock")
  "access" (dict "pathToken" (dict "envVarName" "PATH_TOKEN"))
  "startup" (dict "gate" "credentials" "timeoutSeconds" 60)
  "shutdown" (dict "drainSeconds" 0)
  "cache" (dict "directory" "/run/idaas-sidecar/cache" "keyEnvVarName" "CACHE_KEY")
-}}
{{- mergeOverwrite $fixed (deepCopy .Values.sidecar.settings) | toJson -}}
{{- end }}

{{/*
Variables of both policies, so that the one that checks expects what the other one injects. JSON strings are CEL strings.
`profilesJson` concatenates without escapes: the patterns of CredentialPolicy allow no character that needs one.
*/}}
{{- define "config.variables" -}}
- name: image # the first variable, so that a patch can replace it by its index
  expression: {{ include "names.image" . | toJson | quote }}
- name: requested
  expression: >-
    object.metadata.?annotations[?"{{ include "names.prefix" . }}/profiles"].orValue("").split(",")
    .map(name, name.trim()).filter(name, name != "")
- name: serviceAccount
  expression: object.spec.?serviceAccountName.orValue("default")
- name: allowed
  expression: params.spec.profiles.filter(profile, variables.serviceAccount in profile.serviceAccounts)
- name: granted
  expression: >-
    size(variables.requested) > 0
    && variables.requested.all(name, variables.allowed.exists(profile, profile.name == name))
- name: profilesJson
  expression: >-
    variables.allowed.filter(profile, profile.name in variables.requested).map(profile,
    "\"" + profile.name + "\":{\"identity\":{\"type\":\"tokenFile\",\"tokenFile\":\"/var/run/secrets/idaas-sidecar/token\"},"
    + "\"exchange\":{\"type\":\"sts\",\"roleArn\":\"" + profile.roleArn + "\""
    + ",\"oidcProviderArn\":\"" + profile.oidcProviderArn + "\""
    + (has(profile.regionId) ? ",\"regionId\":\"" + profile.regionId + "\"" : "")
    + (has(profile.vpc) ? ",\"vpc\":" + string(profile.vpc) : "")
    + (has(profile.durationSeconds) ? ",\"durationSeconds\":" + string(profile.durationSeconds) : "")
    + (has(profile.endpoints) ? ",\"endpoints\":[\"" + profile.endpoints.join("\",\"") + "\"]" : "")
    + "}}").join(",")
- name: config
  expression: >-
    "{\"profiles\":{" + variables.profilesJson + "}," + {{ include "config.settings" . | trimPrefix "{" | toJson }}
- name: uri
  expression: >-
    "http://127.0.0.1:7117/$(PATH_TOKEN)/credentials/" + (size(variables.requested) > 0 ? variables.requested[0] : "")
- name: containers
  expression: >-
    object.spec.containers + object.spec.?initContainers.orValue([]).filter(each, each.name != "idaas-sidecar")
{{- end }}

{{/* Where the policies apply: pods with the label, in the selected namespaces, except pods for Windows nodes. */}}
{{- define "config.pods" -}}
objectSelector:
  matchLabels: { {{ include "names.prefix" . }}/inject: "true" }
namespaceSelector: {{- toYaml .Values.namespaceSelector | nindent 2 }}
resourceRules:
  - { apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods] }
{{- end }}

{{- define "config.notWindows" -}}
- name: not-for-windows
  expression: >-
    object.spec.?os.?name.orValue("linux") != "windows"
    && object.spec.?nodeSelector[?"kubernetes.io/os"].orValue("linux") != "windows"
{{- end }}
