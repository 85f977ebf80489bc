{{/*
The injected container, as a CEL object. It is that of deploy/kubernetes/sidecar.yaml. The policies' variables cannot hold
it, because the type Object exists only in mutations.
*/}}
{{- define "container" -}}
Object.spec.initContainers{
  name: "idaas-sidecar",
  image: variables.image,
  imagePullPolicy: {{ .Values.image.pullPolicy | toJson }},
  restartPolicy: "Always",
  env: [
    Object.spec.initContainers.env{name: "POD_NAME", valueFrom: Object.spec.initContainers.env.valueFrom{
      fieldRef: Object.spec.initContainers.env.valueFrom.fieldRef{fieldPath: "metadata.name"}}},
    Object.spec.initContainers.env{name: "POD_NAMESPACE", valueFrom: Object.spec.initContainers.env.valueFrom{
      fieldRef: Object.spec.initContainers.env.valueFrom.fieldRef{fieldPath: "metadata.namespace"}}},
    Object.spec.initContainers.env{name: "PATH_TOKEN", valueFrom: Object.spec.initContainers.env.valueFrom{
      fieldRef: Object.spec.initContainers.env.valueFrom.fieldRef{fieldPath: "metadata.uid"}}},
    Object.spec.initContainers.env{name: "CACHE_KEY", valueFrom: Object.spec.initContainers.env.valueFrom{
      fieldRef: Object.spec.initContainers.env.valueFrom.fieldRef{fieldPath: "metadata.uid"}}}
  ],
  ports: [Object.spec.initContainers.ports{name: "idaas-ops", containerPort: 7118}],
  startupProbe: Object.spec.initContainers.startupProbe{
    httpGet: Object.spec.initContainers.startupProbe.httpGet{path: "/startupz", port: 7118},
    periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 7200},
  livenessProbe: Object.spec.initContainers.livenessProbe{
    httpGet: Object.spec.initContainers.livenessProbe.httpGet{path: "/livez", port: 7118},
    periodSeconds: 10, timeoutSeconds: 2, failureThreshold: 3, terminationGracePeriodSeconds: 5},
  terminationMessagePolicy: "FallbackToLogsOnError",
  resources: Object.spec.initContainers.resources{
    requests: {{ .Values.sidecar.resources.requests | toJson }},
    limits: {{ .Values.sidecar.resources.limits | toJson }}},
  securityContext: Object.spec.initContainers.securityContext{
    runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: Object.spec.initContainers.securityContext.capabilities{drop: ["ALL"]},
    seccompProfile: Object.spec.initContainers.securityContext.seccompProfile{type: "RuntimeDefault"}},
  volumeMounts: [
    Object.spec.initContainers.volumeMounts{
      name: "idaas-sidecar-config", mountPath: "/etc/idaas-sidecar", readOnly: true},
    Object.spec.initContainers.volumeMounts{
      name: "idaas-sidecar-identity", mountPath: "/var/run/secrets/idaas-sidecar", readOnly: true},
    Object.spec.initContainers.volumeMounts{name: "idaas-sidecar-run", mountPath: "/run/idaas-sidecar"}
  ]
}
{{- end }}
