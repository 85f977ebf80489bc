{{/* Name, labels and configuration of the CronJob that runs `idaas-sidecar doctor`. */}}
{{- define "doctor.name" -}}idaas-sidecar-doctor{{- end }}

{{- define "doctor.labels" -}}
app.kubernetes.io/name: {{ include "doctor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The profiles have the identity of an injected sidecar: the projected token of the job's service account. */}}
{{- define "doctor.config" -}}
{{- $profiles := dict -}}
{{- range .Values.doctor.profiles -}}
{{- $exchange := merge (dict "type" "sts") (omit . "name") -}}
{{- $identity := dict "type" "tokenFile" "tokenFile" "/var/run/secrets/idaas-sidecar/token" -}}
{{- $_ := set $profiles .name (dict "identity" $identity "exchange" $exchange) -}}
{{- end -}}
{{- mergeOverwrite (pick .Values.sidecar.settings "proxy" "tls" | deepCopy) (dict "configVersion" "1.0" "profiles" $profiles) | toJson -}}
{{- end }}
