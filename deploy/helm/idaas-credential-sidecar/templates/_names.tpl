{{/* Names that the policies, the documentation and the pods share. */}}
{{- define "names.prefix" -}}idaas-sidecar.internal{{- end }}

{{- define "names.labels" -}}
app.kubernetes.io/name: idaas-credential-sidecar
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "names.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* The API version of MutatingAdmissionPolicy: v1 since 1.36; v1beta1, where the cluster enables it, since 1.34. */}}
{{- define "names.mutatingVersion" -}}
{{- if semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
admissionregistration.k8s.io/v1
{{- else if semverCompare ">=1.34.0-0" .Capabilities.KubeVersion.Version -}}
admissionregistration.k8s.io/v1beta1
{{- else -}}
{{- fail (printf "injection=policy needs Kubernetes 1.36, or 1.34 with the feature gate MutatingAdmissionPolicy; this is %s. Set injection=webhook, which works from 1.29." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end }}
