{{/*
Labels of an object; called with a dict of `root`, for the parts of one process `component`, and `more`, labels of this object alone.
One key may stand in several places, and twice in one map is no YAML: what is said of fewer objects wins.
Names are fixed, because there is one installation per cluster: admission policies, roles and programs know them.
*/}}
{{- define "tidegate.labels" -}}
app.kubernetes.io/name: tidegate
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.more | default dict) (.root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that select the Pods of a process; they can never change. Called with its name. */}}
{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "tidegate.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* Labels and annotations of a Pod. Called with a dict of `root`, `component` and the process's `values`. */}}
{{- define "tidegate.podMetadata" -}}
labels:
  {{- include "tidegate.selector" .component | nindent 2 }}
  {{- with merge (dict) (.values.podLabels | default dict) (.root.Values.commonLabels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pod Security "restricted" asks for the rest of it in each container; see tidegate.containerSecurity. */}}
{{- define "tidegate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tidegate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where Pods of a process run and how their image is pulled. Called with a dict of `root`, `component` and the process's `values`. */}}
{{- define "tidegate.placement" -}}
topologySpreadConstraints:
{{- with .values.topologySpreadConstraints }}
{{- toYaml . | nindent 0 }}
{{- else }}
{{- $component := .component }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "tidegate.selector" $component | nindent 6 }}
{{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $.values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
{{ dict "imagePullSecrets" . | toYaml }}
{{- end }}
{{- end }}

{{/* What every container of ours begins with; the programs of one image are told apart by name. */}}
{{- define "tidegate.container" -}}
image: {{ include "tidegate.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [/{{ .component }}]
{{- end }}

{{- define "tidegate.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
{{- end }}

{{/* Names and the API server: all that the test's Pod has to reach, and what both processes do. */}}
{{- define "tidegate.apiServerEgress" -}}
- ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
# The ports of the API server itself: policies are judged after the Service's address was replaced by one of its Pods' or hosts'.
- ports:
  {{- range .Values.networkPolicy.apiServer.ports }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
  {{- with .Values.networkPolicy.apiServer.cidrs }}
  to:
  {{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
  {{- end }}
{{- end }}

{{/* What both processes may reach: the above and, where it is set, the collector of traces. */}}
{{- define "tidegate.egress" -}}
{{- include "tidegate.apiServerEgress" . }}
{{- with .Values.tracing.endpoint }}
# The collector of traces, by its port: policies know no names.
- ports:
  - {port: {{ include "tidegate.collectorPort" . }}, protocol: TCP}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* The port of a URL. Called with it. */}}
{{- define "tidegate.collectorPort" -}}
{{- $port := . | trimSuffix "/" | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (hasPrefix "https:" .)) -}}
{{- end }}

{{/* Who may read metrics and health, on the admin port of both processes. The kubelet's probes are always allowed. */}}
{{- define "tidegate.adminIngress" -}}
- ports:
  - {port: admin, protocol: TCP}
  from:
  {{- with .Values.networkPolicy.metricsFrom }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  # Any Pod of this cluster: metrics and health name no person and no object.
  - namespaceSelector: {}
  {{- end }}
{{- end }}

{{/* Secrets of the controller: those it makes, or the user's own. */}}
{{- define "tidegate.signingSecret" -}}
{{ .Values.controller.signing.existingSecret | default "tidegate-signing" }}
{{- end }}

{{- define "tidegate.caSecret" -}}
{{ .Values.controller.ca.existingSecret | default "tidegate-ca" }}
{{- end }}

{{/* "true" if the validating policies are installed. Leaving them out takes two switches. */}}
{{- define "tidegate.admission" -}}
{{- if .Values.admission.enabled -}}
true
{{- else if not .Values.admission.iKnowDecisionsCanBeForged -}}
{{- fail "admission.enabled: false leaves out what makes decisions trustworthy. Leave it true. If the same policies are installed another way, set admission.iKnowDecisionsCanBeForged: true as well; the controller grants nothing until they are in force." -}}
{{- end -}}
{{- end }}

{{/* "true" if the mutating policies are installed. */}}
{{- define "tidegate.mutating" -}}
{{- if include "tidegate.admission" . -}}
{{- $mutating := .Values.admission.mutating -}}
{{- if or (eq $mutating "always") (and (eq $mutating "auto") (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")) -}}
true
{{- end -}}
{{- end -}}
{{- end }}
