{{/* Name of everything that the chart makes. It is also that of the lease, so a release keeps it. */}}
{{- define "tsdb-operator.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "tsdb-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "tsdb-operator.name" . -}}
{{- else -}}
{{- fail "set serviceAccount.name to an account that exists, or serviceAccount.create to true" -}}
{{- end -}}
{{- end -}}

{{- define "tsdb-operator.image" -}}
{{- $image := .Values.image -}}
{{- $name := printf "%s/%s" $image.registry $image.repository | trimPrefix "/" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Databases that have a NetworkPolicy let the operator's pods in by app.kubernetes.io/name. */}}
{{- define "tsdb-operator.selector" -}}
app.kubernetes.io/name: tsdb-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tsdb-operator.labels" -}}
{{ include "tsdb-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
