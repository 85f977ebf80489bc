{{/* Names and selectors of the webhook. */}}
{{- define "webhook.name" -}}idaas-sidecar-webhook{{- end }}

{{- define "webhook.selector" -}}
app.kubernetes.io/name: {{ include "webhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "webhook.labels" -}}
{{ include "webhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "webhook.host" -}}{{ include "webhook.name" . }}.{{ .Release.Namespace }}.svc{{- end }}

{{- define "webhook.secret" -}}
{{- with .Values.webhook.certificate -}}
{{- if eq .source "secret" -}}{{ .secretName }}{{- else -}}{{ include "webhook.name" $ }}-tls{{- end -}}
{{- end -}}
{{- end }}

{{/* What the pods depend on: `idaas-sidecar webhook` reads it. */}}
{{- define "webhook.settings" -}}
{{- dict
  "image" (include "names.image" .)
  "imagePullPolicy" .Values.image.pullPolicy
  "audience" .Values.token.audience
  "expirationSeconds" .Values.token.expirationSeconds
  "resources" .Values.sidecar.resources
  "configuration" (include "config.settings" .)
| toJson -}}
{{- end }}

{{/* The members that the three webhooks share. */}}
{{- define "webhook.call" -}}
admissionReviewVersions: [v1]
sideEffects: None
failurePolicy: Fail
matchPolicy: Equivalent
timeoutSeconds: 5
clientConfig:
  service: { name: {{ include "webhook.name" .root }}, namespace: {{ .root.Release.Namespace }}, path: {{ .path }}, port: 443 }
  {{- with .bundle }}
  caBundle: {{ . }}
  {{- end }}
namespaceSelector: {{- toYaml .root.Values.namespaceSelector | nindent 2 }}
{{- end }}
