{{/* What is said of each object: of the whole chart, or with a service's name. */}}
{{- define "gateway.labels" -}}
app.kubernetes.io/part-of: discord-gateway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- with .name }}
app.kubernetes.io/name: gateway-{{ . }}
{{- end }}
{{- end -}}

{{/* What a service's pods are found by. */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: gateway-{{ .name }}
{{- end -}}

{{/* The services that are switched on, with commas between them. */}}
{{- define "gateway.services" -}}
{{- $on := list -}}
{{- range $name := list "ws" "api" "http" "webhook" "voice" -}}
{{- if (index $.Values $name).enabled }}{{ $on = append $on $name }}{{ end -}}
{{- end -}}
{{- join "," $on -}}
{{- end -}}

{{/* How long a listener goes on after its address was taken out of the Service: until all have heard of it. */}}
{{- define "gateway.preStopSeconds" -}}5{{- end -}}

{{/* What cannot be right is said before anything is changed. */}}
{{- define "gateway.check" -}}
{{- $name := .name -}}
{{- $it := .it -}}
{{- $many := or (gt (int $it.replicas) 1) $it.autoscaling.enabled -}}
{{- if and $many (ne $name "http") (not (has "REDIS_URL" $it.secret.keys)) -}}
{{- fail (printf "%s: more than one replica needs REDIS_URL in %s.secret.keys" $name $name) -}}
{{- end -}}
{{- $config := merge (dict) $it.config .root.Values.config -}}
{{- if and (eq $name "api") $it.listener (not (has "HTTP_SECRET" $it.secret.keys)) (not (hasKey $config "HTTP_TLS_CLIENT_CA")) -}}
{{- fail "api: a listener needs HTTP_SECRET in api.secret.keys, or HTTP_TLS_CLIENT_CA" -}}
{{- end -}}
{{- if and (has $name (list "http" "webhook" "voice")) (has "DISCORD_TOKEN" $it.secret.keys) -}}
{{- fail (printf "%s: it does not need the bot token, and is reached by others" $name) -}}
{{- end -}}
{{- end -}}
