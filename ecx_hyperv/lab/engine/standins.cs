// What every stand-in shares: a cmdlet binds its parameters as the real one does, and the world on the other side of
// a socket says what comes of it.
using System;
using System.Collections;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Management.Automation;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace EcxStandIn
{
    public class VirtualizationException : Exception
    {
        public VirtualizationException(string message, Exception inner) : base(message, inner) { }
    }

    public class ClusterCmdletException : Exception
    {
        public ClusterCmdletException(string message, Exception inner) : base(message, inner) { }
    }

    public class CimException : Exception
    {
        public CimException(string message, Exception inner) : base(message, inner) { }
    }

    public class ServiceCommandException : Exception
    {
        public ServiceCommandException(string message, Exception inner) : base(message, inner) { }
    }

    // An object of a Windows type: its properties are what the world said of it, and what is set goes to the world.
    public class Thing
    {
        public Dictionary<string, object> Values = new Dictionary<string, object>(StringComparer.OrdinalIgnoreCase);
        public string Key;

        public object Get(string name)
        {
            object value;
            Values.TryGetValue(name, out value);
            if (value is Exception) { throw (Exception)value; }
            return value;
        }

        // As the cluster's own objects, which show as what they are called.
        public override string ToString()
        {
            object name;
            return Values.TryGetValue("Name", out name) && name is string ? (string)name : base.ToString();
        }

        public void Set(string name, object value)
        {
            var reply = World.Exchange(new Dictionary<string, object> {
                { "set", GetType().FullName }, { "key", Key }, { "name", name }, { "value", World.Plain(value) }
            });
            JsonElement refusal;
            if (reply.TryGetProperty("refused", out refusal)) { throw new ClusterCmdletException(refusal.GetString(), null); }
            Values[name] = value;
        }
    }

    // A file's rights, which .NET has on Windows only: owner and rules in Windows' own notation.
    public class FileSecurity : Thing
    {
        public string sddl { get { return (string)Get("sddl"); } }

        public string GetSecurityDescriptorSddlForm(string sections) { return sddl; }

        public void SetSecurityDescriptorSddlForm(string text)
        {
            Values["sddl"] = System.Text.RegularExpressions.Regex.Replace(text, "G:[A-Z]+(?=D:)", "");
        }
    }

    public abstract class Command : PSCmdlet
    {
        protected override void ProcessRecord()
        {
            World.Run(this, MyInvocation.BoundParameters, ShouldAsk, GetType().FullName);
        }

        protected virtual bool ShouldAsk { get { return false; } }
    }

    public static class World
    {
        static StreamReader reader;
        static StreamWriter writer;

        public static JsonElement Exchange(Dictionary<string, object> request)
        {
            lock (typeof(World))
            {
                if (reader == null)
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    socket.Connect(new UnixDomainSocketEndPoint(Environment.GetEnvironmentVariable("ECX_WORLD")));
                    var stream = new NetworkStream(socket, true);
                    reader = new StreamReader(stream, new UTF8Encoding(false));
                    writer = new StreamWriter(stream, new UTF8Encoding(false)) { AutoFlush = true, NewLine = "\n" };
                }
                request["host"] = Environment.GetEnvironmentVariable("ECX_WORLD_HOST");
                writer.WriteLine(JsonSerializer.Serialize(request));
                var line = reader.ReadLine();
                if (line == null) { throw new InvalidOperationException("the world has ended"); }
                return JsonDocument.Parse(line).RootElement;
            }
        }

        public static void Run(PSCmdlet cmdlet, IDictionary bound, bool shouldAsk, string type)
        {
            var name = cmdlet.MyInvocation.MyCommand.Name;
            if (shouldAsk && !cmdlet.ShouldProcess(name)) { return; }
            var arguments = new Dictionary<string, object>();
            foreach (DictionaryEntry one in Entries(bound)) { arguments[(string)one.Key] = Plain(one.Value); }
            var request = new Dictionary<string, object> {
                { "cmdlet", name }, { "parameter_set", cmdlet.ParameterSetName }, { "args", arguments }
            };
            var reply = Exchange(request);
            JsonElement question;
            if (reply.TryGetProperty("continue", out question))
            {
                if (!cmdlet.ShouldContinue(question.GetString(), name)) { return; }
                request["confirmed"] = true;
                reply = Exchange(request);
            }
            foreach (var one in reply.GetProperty("objects").EnumerateArray()) { cmdlet.WriteObject(ToObject(one)); }
            foreach (var one in reply.GetProperty("errors").EnumerateArray())
            {
                var record = ToRecord(one, type);
                if (one.GetProperty("terminating").GetBoolean()) { cmdlet.ThrowTerminatingError(record); }
                cmdlet.WriteError(record);
            }
        }

        static IEnumerable<DictionaryEntry> Entries(IDictionary bound)
        {
            foreach (var key in new ArrayList(bound.Keys)) { yield return new DictionaryEntry(key, bound[key]); }
        }

        static ErrorRecord ToRecord(JsonElement error, string type)
        {
            var words = error.GetProperty("message").GetString();
            var code = error.GetProperty("code");
            Exception inner = code.ValueKind == JsonValueKind.Number ? new Win32Exception(code.GetInt32()) : null;
            Exception exception = ToException(type, words, inner);
            var category = (ErrorCategory)Enum.Parse(typeof(ErrorCategory), error.GetProperty("category").GetString());
            var id = error.GetProperty("id").GetString();
            var record = new ErrorRecord(exception, id, category, null);
            // A function's errors would carry the function's name, where the real cmdlet's carry its class.
            typeof(ErrorRecord).GetField("_serializedFullyQualifiedErrorId", BindingFlags.Instance | BindingFlags.NonPublic)
                .SetValue(record, id + "," + type);
            return record;
        }

        // A module's own kind of error; a function of a CDXML module has a type without a namespace.
        static Exception ToException(string type, string words, Exception inner)
        {
            if (type.StartsWith("Microsoft.FailoverClusters")) { return new ClusterCmdletException(words, inner); }
            if (type.StartsWith("Microsoft.HyperV")) { return new VirtualizationException(words, inner); }
            if (type.StartsWith("Microsoft.PowerShell")) { return new ServiceCommandException(words, inner); }
            return new CimException(words, inner);
        }

        // What a property or an argument is for the world.
        public static object Plain(object value)
        {
            var wrapped = value as PSObject;
            if (wrapped != null && !(wrapped.BaseObject is PSCustomObject)) { value = wrapped.BaseObject; }
            if (value == null || value is string || value is bool) { return value; }
            if (value is SwitchParameter) { return ((SwitchParameter)value).ToBool(); }
            if (value is Thing)
            {
                var known = new Dictionary<string, object> { { "key", ((Thing)value).Key } };
                if (value is FileSecurity) { known["sddl"] = ((FileSecurity)value).sddl; }
                return known;
            }
            if (value is IDictionary)
            {
                var map = new Dictionary<string, object>();
                foreach (DictionaryEntry one in Entries((IDictionary)value)) { map[one.Key.ToString()] = Plain(one.Value); }
                return map;
            }
            if (value is IEnumerable)
            {
                var list = new List<object>();
                foreach (var one in (IEnumerable)value) { list.Add(Plain(one)); }
                return list;
            }
            if (value is PSObject)
            {
                var map = new Dictionary<string, object>();
                foreach (var one in ((PSObject)value).Properties) { map[one.Name] = Plain(one.Value); }
                return map;
            }
            if (value is Enum || value is Guid) { return value.ToString(); }
            return value is IConvertible && !(value is DateTime) ? value : value.ToString();
        }

        // What the world said, as the object that Windows would return.
        public static object ToObject(JsonElement value)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.String: return value.GetString();
                case JsonValueKind.True: return true;
                case JsonValueKind.False: return false;
                case JsonValueKind.Null: return null;
                case JsonValueKind.Number:
                    long whole;
                    return value.TryGetInt64(out whole) ? (whole == (int)whole ? (object)(int)whole : whole) : value.GetDouble();
                case JsonValueKind.Array:
                    var list = new List<object>();
                    foreach (var one in value.EnumerateArray()) { list.Add(ToObject(one)); }
                    return list.ToArray();
            }
            JsonElement special;
            if (value.TryGetProperty("$throw", out special)) { return new InvalidOperationException(special.GetString()); }
            if (value.TryGetProperty("$time", out special))
            {
                return DateTimeOffset.FromUnixTimeMilliseconds(special.GetInt64()).LocalDateTime;
            }
            if (value.TryGetProperty("$span", out special)) 
            {
                return TimeSpan.FromTicks((long)Math.Round(special.GetDouble() * TimeSpan.TicksPerSecond));
            }
            if (value.TryGetProperty("$nan", out special)) { return double.NaN; }
            var name = value.TryGetProperty("$type", out special) ? special.GetString() : "";
            var values = new Dictionary<string, object>();
            foreach (var one in value.EnumerateObject())
            {
                if (!one.Name.StartsWith("$")) { values[one.Name] = ToObject(one.Value); }
            }
            return Build(name, value.TryGetProperty("$key", out special) ? special.GetString() : null, values);
        }

        // Flags are names separated by commas, and a value without a name is its number; PowerShell refuses the latter.
        static bool TryToProperty(object value, Type type, out object set)
        {
            var inner = Nullable.GetUnderlyingType(type) ?? type;
            if (inner.IsEnum && value is string) { return Enum.TryParse(inner, (string)value, true, out set); }
            set = LanguagePrimitives.ConvertTo(value, type);
            return true;
        }

        static object Build(string name, string key, Dictionary<string, object> values)
        {
            var type = name == "" ? null : typeof(World).Assembly.GetType(name);
            if (type == null)
            {
                var custom = new PSObject();
                if (name != "") { custom.TypeNames.Insert(0, name); }
                foreach (var one in values) { custom.Properties.Add(new PSNoteProperty(one.Key, one.Value)); }
                return custom;
            }
            var thing = (Thing)Activator.CreateInstance(type);
            thing.Key = key;
            // What a newer Windows may call a state is no name that this enum has: a property beside it, and before it.
            var beside = new PSObject(thing);
            foreach (var one in values)
            {
                var property = type.GetProperty(one.Key, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase);
                if (property == null) { throw new InvalidOperationException(name + " has no property " + one.Key); }
                var isPlain = one.Value == null || one.Value is Exception || property.PropertyType == typeof(object);
                object set;
                if (isPlain) { set = one.Value; }
                else if (!TryToProperty(one.Value, property.PropertyType, out set))
                {
                    beside.Properties.Add(new PSNoteProperty(one.Key, one.Value));
                    continue;
                }
                thing.Values[one.Key] = set;
            }
            return beside.Properties.Match("*", PSMemberTypes.NoteProperty).Count > 0 ? (object)beside : thing;
        }
    }
}
